#include "train/repeated_step.h"

#include "base/log.h"
#include "base/text.h"

namespace mdnlab {

namespace {

// The first steps load kernels and allocate what libraries keep, which no recording may.
constexpr int kStepsBefore = 3;

bool have_shapes(const at::Tensor& a, const at::Tensor& b) {
  return a.defined() == b.defined() && (!a.defined() || a.sizes() == b.sizes());
}

bool are_alike(const StepBatches& a, const StepBatches& b) {
  if (a.labels != b.labels || a.batches.size() != b.batches.size()) return false;
  for (std::size_t i = 0; i < a.batches.size(); ++i) {
    const LabelledBatch &one = a.batches[i], &other = b.batches[i];
    if (one.documents.exist() || other.documents.exist() || !have_shapes(one.tokens_BT, other.tokens_BT) ||
        !have_shapes(one.positions, other.positions) || !have_shapes(one.labels, other.labels))
      return false;
  }
  return true;
}

void copy(const StepBatches& from, StepBatches& to) {
  for (std::size_t i = 0; i < from.batches.size(); ++i) {
    to.batches[i].tokens_BT.copy_(from.batches[i].tokens_BT);
    to.batches[i].labels.copy_(from.batches[i].labels);
    if (from.batches[i].positions.defined()) to.batches[i].positions.copy_(from.batches[i].positions);
  }
}

}  // namespace

void RepeatedStep::record(const StepBatches& batches) {
  records_ = false;  // once
  latest_ = batches;
  try {
    recording_ = ops::record(batches.batches[0].tokens_BT.device(), [&] { result_ = work_(latest_); });
  } catch (const std::exception& error) {
    warn("the step cannot be recorded, each one is launched anew: " + split(error.what(), '\n')[0]);
  }
}

at::Tensor RepeatedStep::queue(const StepBatches& batches) {
  const bool is_alike = !batches.batches.empty() && are_alike(latest_, batches);
  if (recording_ && is_alike) {
    copy(batches, latest_);
    recording_->play();
    return result_;
  }
  if (records_ && !recording_ && !batches.batches.empty() && batches.batches[0].tokens_BT.is_cuda()) {
    alike_ = is_alike ? alike_ + 1 : 0;
    if (alike_ < kStepsBefore) {
      latest_ = batches;
    } else {
      record(batches);
      if (recording_) {
        recording_->play();
        return result_;
      }
    }
  }
  return work_(batches);
}

}  // namespace mdnlab
