#include "check/peak_memory.h"

#include <ATen/Context.h>
#include <c10/core/Allocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <atomic>

namespace mdnlab {

struct PeakMemory::Meter {
  virtual ~Meter() = default;
  virtual std::int64_t bytes() const = 0;
};

namespace {

// LibTorch reports every allocation and every release to the profiler of the thread.
struct Counter : c10::MemoryReportingInfoBase {
  std::atomic<std::int64_t> held = 0, peak = 0;

  void reportMemoryUsage(void*, std::int64_t size, std::size_t, std::size_t, c10::Device device) override {
    if (!device.is_cpu()) return;
    held += size;  // negative when released
    peak = std::max(peak.load(), held.load());
  }
  bool memoryProfilingEnabled() const override { return true; }
};

}  // namespace

struct PeakMemory::CpuMeter : Meter {
  std::shared_ptr<Counter> counter = std::make_shared<Counter>();
  c10::DebugInfoGuard guard{c10::DebugInfoKind::PROFILER_STATE, counter};

  std::int64_t bytes() const override { return counter->peak; }
};

// The caching allocator keeps statistics of its own.
struct PeakMemory::GpuMeter : Meter {
  explicit GpuMeter(c10::Device of) : device(of) {
    at::globalContext().lazyInitDevice(device.type());  // before its first tensor there is no allocator
    before = current().current;
    c10::getDeviceAllocator(device.type())->resetPeakStats(device.index());
  }

  c10::CachingAllocator::Stat current() const {
    constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    return c10::getDeviceAllocator(device.type())->getDeviceStats(device.index()).allocated_bytes[kAll];
  }
  std::int64_t bytes() const override { return current().peak - before; }

  c10::Device device;
  std::int64_t before = 0;
};

PeakMemory::PeakMemory(c10::Device device) {
  if (device.is_cpu()) {
    meter_ = std::make_unique<CpuMeter>();
  } else {
    meter_ = std::make_unique<GpuMeter>(device);
  }
}

PeakMemory::~PeakMemory() = default;

std::int64_t PeakMemory::bytes() const { return meter_->bytes(); }

}  // namespace mdnlab
