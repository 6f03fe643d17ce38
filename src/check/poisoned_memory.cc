#include "check/poisoned_memory.h"

#include <c10/core/CPUAllocator.h>

#include <cstring>

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

}  // namespace

PoisonedMemory::PoisonedMemory() { c10::SetCPUAllocator(&poisoner()); }

PoisonedMemory::~PoisonedMemory() { c10::SetCPUAllocator(poisoner().usual()); }

}  // namespace mdnlab::check
