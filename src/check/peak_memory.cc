#include "check/peak_memory.h"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <atomic>

namespace mdnlab {

// LibTorch reports every allocation and every release to the profiler of the thread.
struct PeakMemory::Counter : c10::MemoryReportingInfoBase {
  std::atomic<std::int64_t> held = 0, peak = 0;

  void reportMemoryUsage(void*, std::int64_t size, std::size_t, std::size_t, c10::Device device) override {
    if (!device.is_cpu()) return;
    held += size;  // negative when released
    peak = std::max(peak.load(), held.load());
  }
  bool memoryProfilingEnabled() const override { return true; }
};

struct PeakMemory::Guard {
  c10::DebugInfoGuard guard;
};

PeakMemory::PeakMemory()
    : counter_(std::make_shared<Counter>()),
      guard_(new Guard{c10::DebugInfoGuard(c10::DebugInfoKind::PROFILER_STATE, counter_)}) {}

PeakMemory::~PeakMemory() = default;

std::int64_t PeakMemory::bytes() const { return counter_->peak; }

}  // namespace mdnlab
