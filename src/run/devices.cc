#include "run/devices.h"

#include <algorithm>

#include "base/text.h"
#include "scan/cuda_module.h"

namespace mdnlab {

std::vector<c10::Device> usable_gpus(const GpuFacts& facts) {
  std::vector<c10::Device> usable;
  for (std::size_t i = 0; i < facts.gpus.size(); ++i) {
    if (facts.gpus[i].capability >= scan::kLeastCapability)
      usable.emplace_back(c10::kCUDA, static_cast<c10::DeviceIndex>(i));
  }
  return usable;
}

// An entry of ours may be a number, a UUID or a part of a GPU: it names the same to the worker.
std::string visible_gpu(std::int64_t index, const char* ours) {
  return ours ? trim(split(ours, ',').at(static_cast<std::size_t>(index))) : std::to_string(index);
}

DeviceSlots::DeviceSlots(std::vector<c10::Device> devices, std::int64_t most_runs) : most_runs_(most_runs) {
  for (const c10::Device device : devices) slots_.push_back({.device = device});
}

std::optional<c10::Device> DeviceSlots::take() {
  const auto slot = std::ranges::min_element(slots_, {}, &Slot::runs);
  if (slot == slots_.end() || slot->runs >= most_runs_) return {};
  ++slot->runs;
  return slot->device;
}

void DeviceSlots::give_back(c10::Device device) { --std::ranges::find(slots_, device, &Slot::device)->runs; }

}  // namespace mdnlab
