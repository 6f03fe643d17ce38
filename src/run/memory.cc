#include "run/memory.h"

#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <new>
#include <string_view>

#include "base/gpu.h"
#include "base/text.h"
#include "train/options.h"

namespace mdnlab {

namespace {

DeviceMemory host_memory() {
  const std::int64_t page = sysconf(_SC_PAGESIZE);
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  DeviceMemory memory{.device = "this machine", .total = sysconf(_SC_PHYS_PAGES) * page};
  if (limit.rlim_cur != RLIM_INFINITY)
    memory.total = std::min(memory.total, static_cast<std::int64_t>(limit.rlim_cur));
  memory.peak = usage.ru_maxrss * 1024;
  memory.free = memory.total;  // what others hold can go to the disk
  return memory;
}

DeviceMemory gpu_memory(c10::Device device) {
  constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  at::globalContext().lazyInitDevice(device.type());
  c10::DeviceAllocator* allocator = c10::getDeviceAllocator(device.type());
  const auto [free, total] = allocator->getMemoryInfo(device.index());
  const auto stats = allocator->getDeviceStats(device.index());
  const std::int64_t ours = stats.reserved_bytes[kAll].current;
  DeviceMemory memory{.device = gpu_facts().gpus.at(static_cast<std::size_t>(device.index())).name,
                      .total = static_cast<std::int64_t>(total),
                      .free = static_cast<std::int64_t>(free),
                      .peak = stats.allocated_bytes[kAll].peak};
  memory.others = std::max<std::int64_t>(0, memory.total - memory.free - ours);
  return memory;
}

std::string room(const DeviceMemory& memory) {
  constexpr std::int64_t noticeable = 1 << 30;  // a process's own context takes half of it
  return memory.device + " has " + bytes_text(memory.total) +
         (memory.others >= noticeable ? ", " + bytes_text(memory.others) + " of it held by others" : "");
}

}  // namespace

DeviceMemory device_memory(c10::Device device) {
  return device.is_cpu() ? host_memory() : gpu_memory(device);
}

std::string memory_warning(std::int64_t estimate, std::int64_t least, const DeviceMemory& memory) {
  if (least > memory.total) {
    throw Error(Code::failed, {.what = "the weights, their gradients and AdamW's moments alone do not fit",
                               .found = bytes_text(least) + "; " + room(memory),
                               .hint = "a smaller model, or a larger device"});
  }
  if (estimate <= memory.free) return {};
  return fmt::format("the run is estimated at {}, and {}: it may run out of memory", bytes_text(estimate),
                     room(memory));
}

bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error)) return true;
  constexpr std::array<std::string_view, 3> words{"out of memory", "can't allocate memory", "ALLOC_FAILED"};
  const auto* torch = dynamic_cast<const c10::Error*>(&error);
  const std::string_view text = torch ? torch->what_without_backtrace() : error.what();
  return std::ranges::any_of(words, [&](std::string_view word) { return text.find(word) != text.npos; });
}

Error out_of_memory(const Params& train, std::int64_t estimate, const DeviceMemory& memory) {
  const std::int64_t batch = train.integer("batch_size");
  const std::string lower =
      batch > 1 ? fmt::format(
                      "lower train.batch_size (it is {}) and keep tokens_per_step: {}: the run learns "
                      "the same, in smaller pieces",
                      batch, train.integer("tokens_per_step"))
                : fmt::format("train.batch_size is 1: lower train.seq_len (it is {}), or the model's sizes",
                              train.integer("seq_len"));
  return Error(Code::failed,
               ErrorText{.what = "out of memory",
                         .found = fmt::format("{} in use at most, {} estimated; {}", bytes_text(memory.peak),
                                              bytes_text(estimate), room(memory)),
                         .hint = lower});
}

}  // namespace mdnlab
