// The device's part of a training step. On a GPU the step is recorded once its batches have had the same
// shapes for a few steps (ops/recording.h), and from then on only repeated.
#pragma once

#include <functional>
#include <memory>

#include "ops/recording.h"
#include "train/step_batches.h"

namespace mdnlab {

class RepeatedStep {
 public:
  // Queues all of a step and returns what the host is to read of it, on the device; waits for nothing.
  using Work = std::function<at::Tensor(const StepBatches& batches)>;

  // Without `records` the work is called for every step.
  RepeatedStep(Work work, bool records) : work_(std::move(work)), records_(records) {}

  // What it returns holds until the next call. For steps of other shapes than those recorded the work is
  // called, until they too have been alike for a few steps: then it is recorded anew. Documents can be
  // repeated where only the device knows them (read_step()). Where a recording fails, which is said once, the
  // work is called from then on.
  at::Tensor queue(const StepBatches& batches);

  bool records() const { return records_; }
  bool is_recorded() const { return recording_ != nullptr; }

 private:
  void record(const StepBatches& batches);

  Work work_;
  bool records_;
  StepBatches latest_, recorded_;  // recorded_: what the recording reads
  int alike_ = 0;                  // steps of the latest shapes
  std::unique_ptr<ops::Recording> recording_;
  at::Tensor result_;
};

}  // namespace mdnlab
