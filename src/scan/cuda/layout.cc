#include "scan/cuda/layout.h"

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <deque>
#include <mutex>

#include "scan/cuda/device.h"
#include "scan/cuda/streams.h"
#include "scan/cuda/tables.h"

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
  const auto oldest =
      std::find_if(kept.rbegin(), kept.rend(), [](const Kept& one) { return !one.is_recorded; });
  if (kept.size() > kKept && oldest != kept.rend()) kept.erase(std::next(oldest).base());
  return kept.front().layout;
}

std::int64_t Rows::chunks() const { return (tokens + (cuda::kChunk - 1) * documents) / cuda::kChunk; }

Layout layout(const at::Tensor& starts, Rows rows) {
  const std::int64_t documents = starts.size(0) - 1, count = documents / rows.documents;
  Layout made{.tables = at::empty({2 * (documents + count * rows.chunks())}, starts.options()),
              .runs = static_cast<int>(documents),
              .chunks = static_cast<int>(count * rows.chunks())};
  const cuda::RowTables tables{.starts = starts.const_data_ptr<int>(),
                               .first_token = static_cast<int>(rows.first_token),
                               .rows = static_cast<int>(count),
                               .tokens = static_cast<int>(rows.tokens),
                               .documents = static_cast<int>(rows.documents),
                               .chunks = static_cast<int>(rows.chunks()),
                               .document = const_cast<cuda::Document*>(made.document()),
                               .chunk = const_cast<cuda::Chunk*>(made.chunk())};
  check_cuda(launch_tables(tables, c10::cuda::getCurrentCUDAStream()), "scan: where the documents lie");
  return made;
}

}  // namespace mdnlab::scan
