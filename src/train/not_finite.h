// Why a training step is not finite: where that began.
#pragma once

#include <string>

#include "model/language_model.h"
#include "train/step_batches.h"

namespace mdnlab {

// The first tensor of the step that is not finite. The forward pass is repeated (without gradients, so in
// less memory) and its outputs looked at in their order, from the embeddings to the logits; where all are
// finite, so must be what the step left in the parameters' gradients, looked at in the order of the backward
// pass: what comes after the first has it from there. Names are the parameters':
//   "the output of model.layers.3.attn"
//   "the output of model.layers.3.attn, as its parameter model.layers.3.attn.o_proj.weight is not finite"
//   "the gradient of model.layers.3.mlp.down_proj.weight"
//   "the norm of all gradients: each is finite, and that of lm_head.weight reaches 2.1e+38"
// Waits for the device many times: for a run that is about to end.
std::string first_not_finite(const LanguageModel& model, const StepBatches& step);

}  // namespace mdnlab
