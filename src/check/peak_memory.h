// How much tensor memory a piece of work holds at its fullest.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>

namespace mdnlab {

// Between construction and destruction. On the CPU, what this thread allocates from LibTorch's allocator, and
// what autograd does for it; on a GPU, what anyone allocates there from LibTorch's. One at a time in a
// thread.
class PeakMemory {
 public:
  explicit PeakMemory(c10::Device device = c10::kCPU);
  ~PeakMemory();
  PeakMemory(const PeakMemory&) = delete;
  PeakMemory& operator=(const PeakMemory&) = delete;

  std::int64_t bytes() const;  // the most held at once so far, beyond what was held at construction

 private:
  struct Meter;
  struct CpuMeter;
  struct GpuMeter;
  std::unique_ptr<Meter> meter_;
};

}  // namespace mdnlab
