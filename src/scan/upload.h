// From the host to a device.
#pragma once

#include <ATen/core/Tensor.h>

namespace mdnlab {

// The CPU tensor on `device`, on the CPU itself as it is. To a GPU it goes through pinned memory, behind what
// the device has still to do: nothing waits for it, and `host` may change or go at once.
at::Tensor upload(const at::Tensor& host, at::Device device);

}  // namespace mdnlab
