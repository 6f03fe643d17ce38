// Fresh tensor memory that is not zero by chance.
#pragma once

namespace mdnlab::check {

// While one lives, every block from LibTorch's CPU allocator starts as NaN (all bits set: NaN in every
// floating dtype, −1 in integers), so that reading what nobody wrote shows. One at a time in a process.
class PoisonedMemory {
 public:
  PoisonedMemory();
  ~PoisonedMemory();
  PoisonedMemory(const PoisonedMemory&) = delete;
  PoisonedMemory& operator=(const PoisonedMemory&) = delete;
};

}  // namespace mdnlab::check
