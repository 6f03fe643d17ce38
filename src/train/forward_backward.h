// The loss of a step and its gradients.
#pragma once

#include "model/language_model.h"
#include "train/step_batches.h"

namespace mdnlab {

// The mean loss over the step's labels, float64 on the model's device; adds its gradients to the parameters'.
// Every label of the step weighs the same, however the labels fall into batches. Waits for nothing.
at::Tensor forward_backward(const LanguageModel& model, const StepBatches& step);

}  // namespace mdnlab
