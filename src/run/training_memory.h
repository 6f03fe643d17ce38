// What training holds at its fullest moment, found out by a rehearsal (scan/rehearsal.h): its first batches
// go forward and back through the model itself, without data. So there is no formula to keep true, and a rule
// of a plugin is measured like ours.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <optional>

#include "run/config.h"

namespace mdnlab {

struct TrainingMemory {
  std::int64_t kept_bytes = 0;  // parameters, their gradients and both moments: from step to step
  std::int64_t peak_bytes = 0;  // these, and what a batch needs on its way; of LibTorch's tensors

  std::int64_t batch_bytes() const { return peak_bytes - kept_bytes; }
};

// What a rehearsal of training on `device` is as: kCPU; kCUDA where our kernels run; else kMeta, a GPU
// without.
c10::DeviceType rehearsal_of(c10::Device device);

// `as`: one of those. nullopt: a rule of the model does what a tensor without data cannot.
std::optional<TrainingMemory> training_memory(const RunConfig& config, const Plugins& plugins,
                                              const Task& task, std::int64_t vocab_size, c10::DeviceType as);

}  // namespace mdnlab
