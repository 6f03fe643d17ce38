// What one optimizer step trains on, where the model is.
#pragma once

#include <vector>

#include "config/params.h"
#include "task/task.h"

namespace mdnlab {

struct LabelledBatch {
  at::Tensor tokens_BT;
  ops::Documents documents;
  at::Tensor positions;  // int64, of the flattened (B,T) tokens that have a label; undefined: nearly all have
  at::Tensor labels;     // int64, of those, or of all tokens, no_label among them
};

struct StepBatches {
  std::vector<LabelledBatch> batches;  // those without a label left out
  std::int64_t rows = 0;               // numbers in all their `labels`
  at::Tensor rows_per_label;           // float64 scalar: rows over those that are a label
};

// The batches of step `step` (from 0), on `device`; nothing waits for it (scan/upload.h).
//
// With `documents_in_a_row`, of the batches before (0 at first), they are as a recording can repeat them:
// from the first batch with documents on, rows have as many of them as any batch needed so far, with some to
// spare.
StepBatches read_step(const Task& task, const Params& train, std::int64_t step, at::Device device,
                      std::int64_t* documents_in_a_row = nullptr);

}  // namespace mdnlab
