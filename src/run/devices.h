// Which device each worker runs on.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/gpu.h"

namespace mdnlab {

// The GPUs new enough for runs, in CUDA's order; possibly none.
std::vector<c10::Device> usable_gpus(const GpuFacts& facts);

// The CUDA_VISIBLE_DEVICES under which a process sees nothing but our GPU `index`, as its first. `ours` is
// this process's own value, null when it has none. So a worker can start nothing on another's GPU, by
// accident or by a library's choice.
std::string visible_gpu(std::int64_t index, const char* ours);

// Devices and how many runs are on each.
class DeviceSlots {
 public:
  DeviceSlots(std::vector<c10::Device> devices, std::int64_t most_runs);

  // A place on the device with the fewest runs, the first of equals; none when each has `most_runs`.
  std::optional<c10::Device> take();
  void give_back(c10::Device device);

  std::size_t count() const { return slots_.size(); }  // of devices

 private:
  struct Slot {
    c10::Device device;
    std::int64_t runs = 0;
  };
  std::vector<Slot> slots_;
  std::int64_t most_runs_;
};

}  // namespace mdnlab
