#include "ops/recording.h"

#include "ops/fused.h"

namespace mdnlab::ops {

Recording::~Recording() = default;

std::unique_ptr<Recording> record(at::Device device, const std::function<void()>& work) {
  const Fused* const module = fused(device);
  return module ? module->record(device, work) : nullptr;
}

}  // namespace mdnlab::ops
