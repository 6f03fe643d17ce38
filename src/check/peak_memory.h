// How much tensor memory a piece of work holds at its fullest.
#pragma once

#include <cstdint>
#include <memory>

namespace mdnlab {

// Counts what this thread allocates from LibTorch's CPU allocator, and what autograd does for it, between
// construction and destruction. One at a time in a thread.
class PeakMemory {
 public:
  PeakMemory();
  ~PeakMemory();
  PeakMemory(const PeakMemory&) = delete;
  PeakMemory& operator=(const PeakMemory&) = delete;

  std::int64_t bytes() const;  // the most held at once so far, beyond what was held at construction

 private:
  struct Counter;
  struct Guard;
  std::shared_ptr<Counter> counter_;
  std::unique_ptr<Guard> guard_;
};

}  // namespace mdnlab
