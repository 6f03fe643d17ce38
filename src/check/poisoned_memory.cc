#include "check/poisoned_memory.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/full.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/CachingDeviceAllocator.h>

#include <cstring>
#include <vector>

namespace mdnlab::check {

namespace {

class Poisoner final : public c10::Allocator {
 public:
  explicit Poisoner(c10::Allocator* usual) : usual_(usual) {}

  c10::DataPtr allocate(std::size_t bytes) override {
    c10::DataPtr block = usual_->allocate(bytes);
    if (bytes > 0) std::memset(block.get(), 0xFF, bytes);
    return block;
  }
  c10::DeleterFnPtr raw_deleter() const override { return usual_->raw_deleter(); }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    usual_->copy_data(to, from, bytes);
  }

  c10::Allocator* usual() const { return usual_; }

 private:
  c10::Allocator* usual_;
};

// Blocks outlive the guard, but each is released by the usual allocator's own deleter.
Poisoner& poisoner() {
  static Poisoner only(c10::GetCPUAllocator());
  return only;
}

// The allocator keeps what is released, and gives it out again before it asks the driver for more: small
// blocks from pieces of 2 MiB, larger ones from larger pieces.
void poison_gpu(c10::Device device) {
  constexpr std::int64_t kMib = 1 << 20;
  c10::getDeviceAllocator(device.type())->emptyCache();
  std::vector<at::Tensor> blocks;
  for (const auto& [count, size] : {std::pair{32, kMib}, {8, 16 * kMib}, {1, 96 * kMib}}) {
    for (int i = 0; i < count; ++i)
      blocks.push_back(at::full({size}, 0xFF, at::TensorOptions(device).dtype(at::kByte)));
  }
}

}  // namespace

PoisonedMemory::PoisonedMemory(c10::Device device) {
  c10::SetCPUAllocator(&poisoner());
  if (!device.is_cpu()) poison_gpu(device);
}

PoisonedMemory::~PoisonedMemory() { c10::SetCPUAllocator(poisoner().usual()); }

}  // namespace mdnlab::check
