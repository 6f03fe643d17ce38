#include "scan/cuda/layout.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <deque>
#include <mutex>

#include "scan/cuda/streams.h"

namespace mdnlab::scan {

namespace {

constexpr std::size_t kKept = 16;

struct Kept {
  c10::Device device;
  std::vector<std::int64_t> starts;
  Cut cut;
  Layout layout;
  bool is_recorded;  // in a graph, which reads the tables for as long as it lives
};

Layout lay_out(const std::vector<std::int64_t>& starts, const Cut& cut, c10::Device device) {
  const std::vector<int> entries = tables(starts, cut);
  const at::Tensor here = at::empty({std::ssize(entries)}, at::TensorOptions(at::kInt));
  std::ranges::copy(entries, here.mutable_data_ptr<int>());
  const int runs = cut.segments * static_cast<int>(std::ssize(starts) - 1);
  return {
      .tables = here.to(device), .runs = runs, .chunks = static_cast<int>(std::ssize(entries) / 2) - runs};
}

}  // namespace

const cuda::Document* Layout::document() const {
  return reinterpret_cast<const cuda::Document*>(tables.const_data_ptr<int>());
}

const cuda::Chunk* Layout::chunk() const {
  return reinterpret_cast<const cuda::Chunk*>(tables.const_data_ptr<int>() + 2 * runs);
}

Layout layout(const std::vector<std::int64_t>& starts, const Cut& cut, c10::Device device) {
  static std::mutex mutex;
  static std::deque<Kept> kept;
  const std::lock_guard lock(mutex);
  const bool is_recording = is_stream_recording();
  for (Kept& one : kept) {
    if (one.device != device || one.starts != starts || one.cut != cut) continue;
    one.is_recorded |= is_recording;
    return one.layout;
  }
  kept.push_front({device, starts, cut, lay_out(starts, cut, device), is_recording});
  const auto oldest = std::find_if(kept.rbegin(), kept.rend(), [](const Kept& one) { return !one.is_recorded; });
  if (kept.size() > kKept && oldest != kept.rend()) kept.erase(std::next(oldest).base());
  return kept.front().layout;
}

}  // namespace mdnlab::scan
