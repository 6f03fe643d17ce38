// What one optimizer step trains on, where the model is.
#pragma once

#include <vector>

#include "config/params.h"
#include "task/task.h"

namespace mdnlab {

struct LabelledBatch {
  at::Tensor tokens_BT;
  ops::Documents documents;
  at::Tensor positions;  // int64, of the flattened (B,T) tokens that have a label; undefined: all have one
  at::Tensor labels;     // int64, theirs
};

struct StepBatches {
  std::vector<LabelledBatch> batches;  // those without a label left out
  std::int64_t labels = 0;             // of all
};

// The batches of step `step` (from 0), on `device`; nothing waits for it (scan/upload.h).
StepBatches read_step(const Task& task, const Params& train, std::int64_t step, at::Device device);

}  // namespace mdnlab
