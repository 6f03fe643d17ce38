// Memory of the device that a run trains on: whether it may suffice, and what to say when it did not.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <exception>
#include <string>

#include "base/error.h"
#include "config/params.h"

namespace mdnlab {

struct DeviceMemory {
  std::string device;       // "NVIDIA H200", "this machine"
  std::int64_t total = 0;   // bytes, all of them
  std::int64_t free = 0;    // now
  std::int64_t others = 0;  // held by other processes; 0 where that is unknown
  std::int64_t peak = 0;    // the most that this process has held
};

// Starts a GPU that is not started yet. On the CPU the total is the machine's, or what `ulimit -v` leaves.
DeviceMemory device_memory(c10::Device device);

// "" where the estimate fits what is free; else a warning. More than the whole device cannot hold is an Error
// (Code::failed): `least`, the bytes of the weights, their gradients and AdamW's moments.
std::string memory_warning(std::int64_t estimate, std::int64_t least, const DeviceMemory& memory);

// Of the host, of a GPU, and what libraries say in their own words.
bool is_out_of_memory(const std::exception& error);

// What the run reached and was estimated at, what there is, and the setting of `train:` to lower.
Error out_of_memory(const Params& train, std::int64_t estimate, const DeviceMemory& memory);

}  // namespace mdnlab
