// What one optimizer step trains on, where the model is.
#pragma once

#include <vector>

#include "config/params.h"
#include "task/task.h"

namespace mdnlab {

struct LabelledBatch {
  at::Tensor tokens_BT;
  ops::Documents documents;
  at::Tensor positions;  // int64, of the flattened (B,T) tokens that have a label, then of some that fill up
                         // the room and have none; undefined: nearly all have
  at::Tensor labels;     // int64, of those, or of all tokens, no_label among them
};

struct StepBatches {
  std::vector<LabelledBatch> batches;  // those without a label left out
  std::int64_t rows = 0;               // numbers in all their `labels`
  at::Tensor rows_per_label;           // float64 scalar: rows over those that are a label
};

// What the batches so far needed; those to come are filled up to it, with some to spare once it has grown, so
// that their shapes stay and a recording can repeat them.
struct StepRoom {
  std::int64_t documents_in_a_row = 0;  // of each row, from the first batch with documents on
  std::int64_t labels = 0;              // of a batch; not with train.deterministic, as sums depend on it
};

// The batches of step `step` (from 0), on `device`; nothing waits for it (scan/upload.h).
StepBatches read_step(const Task& task, const Params& train, std::int64_t step, at::Device device,
                      StepRoom* room = nullptr);

}  // namespace mdnlab
