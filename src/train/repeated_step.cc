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
  if (a.rows != b.rows || a.batches.size() != b.batches.size()) return false;
  for (std::size_t i = 0; i < a.batches.size(); ++i) {
    const LabelledBatch &one = a.batches[i], &other = b.batches[i];
    const bool is_known_here = one.documents.exist() && one.documents.cu_seqlens.is_cpu();
    if (is_known_here || !have_shapes(one.documents.cu_seqlens, other.documents.cu_seqlens) ||
        !have_shapes(one.tokens_BT, other.tokens_BT) || !have_shapes(one.positions, other.positions) ||
        !have_shapes(one.labels, other.labels))
      return false;
  }
  return true;
}

void copy(const StepBatches& from, StepBatches& to) {
  const auto copy_one = [](const at::Tensor& source, at::Tensor& target) {
    if (source.defined()) target.copy_(source);
  };
  for (std::size_t i = 0; i < from.batches.size(); ++i) {
    const LabelledBatch& source = from.batches[i];
    LabelledBatch& target = to.batches[i];
    copy_one(source.tokens_BT, target.tokens_BT);
    copy_one(source.documents.cu_seqlens, target.documents.cu_seqlens);
    copy_one(source.documents.position_BT, target.documents.position_BT);
    copy_one(source.positions, target.positions);
    copy_one(source.labels, target.labels);
  }
  copy_one(from.rows_per_label, to.rows_per_label);
}

}  // namespace

void RepeatedStep::record(const StepBatches& batches) {
  recording_.reset();  // its memory first
  recorded_ = batches;
  try {
    recording_ = ops::record(batches.batches[0].tokens_BT.device(), [&] { result_ = work_(recorded_); });
  } catch (const std::exception& error) {
    warn("the step cannot be recorded, each one is launched anew: " + split(error.what(), '\n')[0]);
  }
  records_ = recording_ != nullptr;
}

at::Tensor RepeatedStep::queue(const StepBatches& batches) {
  if (recording_ && are_alike(recorded_, batches)) {
    copy(batches, recorded_);
    recording_->play();
    return result_;
  }
  if (records_ && !batches.batches.empty() && batches.batches[0].tokens_BT.is_cuda()) {
    alike_ = are_alike(latest_, batches) ? alike_ + 1 : 0;
    latest_ = batches;
    if (alike_ == kStepsBefore) {
      latest_ = {};
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
