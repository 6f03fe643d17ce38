// Fresh tensor memory that is not zero by chance.
#pragma once

#include <c10/core/Device.h>

namespace mdnlab::check {

// While one lives, every block from LibTorch's CPU allocator starts as NaN (all bits set: NaN in every
// floating dtype, −1 in integers), so that reading what nobody wrote shows. One at a time in a process. On a
// GPU the first 256 MiB that its allocator gives out afterwards are so, in blocks small and large.
class PoisonedMemory {
 public:
  explicit PoisonedMemory(c10::Device device = c10::kCPU);
  ~PoisonedMemory();
  PoisonedMemory(const PoisonedMemory&) = delete;
  PoisonedMemory& operator=(const PoisonedMemory&) = delete;
};

}  // namespace mdnlab::check
