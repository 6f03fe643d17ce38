#include "check/stopwatch.h"

#include <ATen/ops/empty.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <chrono>

namespace mdnlab {

namespace {

std::vector<double> on_cpu(int repeats, const std::function<void()>& work) {
  std::vector<double> milliseconds;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
    milliseconds.push_back(taken.count());
  }
  return milliseconds;
}

// All runs are queued before the first is waited for: the GPU never waits for the host between two kernels.
std::vector<double> on_gpu(c10::Device device, int repeats, const std::function<void()>& work) {
  constexpr std::int64_t kFlushedBytes = 256 << 20;  // several times the cache
  const c10::Stream stream = c10::impl::VirtualGuardImpl(device.type()).getStream(device);
  at::Tensor flushed = at::empty({kFlushedBytes}, at::TensorOptions(device).dtype(at::kByte));
  std::vector<std::pair<c10::Event, c10::Event>> events;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    c10::Event start(device.type(), c10::EventFlag::BACKEND_DEFAULT),
        end(device.type(), c10::EventFlag::BACKEND_DEFAULT);
    flushed.fill_(repeat);
    start.record(stream);
    work();
    end.record(stream);
    events.emplace_back(std::move(start), std::move(end));
  }
  wait_for(device);
  std::vector<double> milliseconds;
  for (const auto& [start, end] : events) milliseconds.push_back(start.elapsedTime(end));
  return milliseconds;
}

}  // namespace

Timing time_work(c10::Device device, int repeats, const std::function<void()>& work) {
  for (int untimed = 0; untimed < 2; ++untimed) work();
  repeats = std::max(repeats, 5);
  std::vector<double> milliseconds = device.is_cpu() ? on_cpu(repeats, work) : on_gpu(device, repeats, work);
  std::sort(milliseconds.begin(), milliseconds.end());
  const std::size_t n = milliseconds.size();
  return {.median_ms = milliseconds[n / 2], .spread_ms = milliseconds[3 * n / 4] - milliseconds[n / 4]};
}

void wait_for(c10::Device device) {
  if (!device.is_cpu()) c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

}  // namespace mdnlab
