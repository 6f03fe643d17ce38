#include "scan/cuda/layout.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <vector>

namespace mdnlab::scan {

namespace {

constexpr std::size_t kKept = 16;

struct Kept {
  c10::Device device;
  std::vector<std::int64_t> starts;
  Layout layout;
};

Layout lay_out(const std::vector<std::int64_t>& starts, c10::Device device) {
  Layout out;
  std::vector<int> documents, chunks;
  for (std::size_t n = 0; n + 1 < starts.size(); ++n) {
    const std::int64_t length = starts[n + 1] - starts[n];
    const int count = static_cast<int>((length + cuda::kChunk - 1) / cuda::kChunk);
    documents.insert(documents.end(), {out.chunks, count});
    for (std::int64_t token = starts[n]; token < starts[n + 1]; token += cuda::kChunk) {
      const std::int64_t rows = std::min<std::int64_t>(cuda::kChunk, starts[n + 1] - token);
      chunks.insert(chunks.end(), {static_cast<int>(token), static_cast<int>(rows)});
    }
    out.chunks += count;
    ++out.documents;
  }
  documents.insert(documents.end(), chunks.begin(), chunks.end());
  const auto size = static_cast<std::int64_t>(documents.size());
  const at::Tensor here = at::empty({size}, at::TensorOptions(at::kInt));
  std::ranges::copy(documents, here.mutable_data_ptr<int>());
  out.tables = here.to(device);
  return out;
}

}  // namespace

const cuda::Document* Layout::document() const {
  return reinterpret_cast<const cuda::Document*>(tables.const_data_ptr<int>());
}

const cuda::Chunk* Layout::chunk() const {
  return reinterpret_cast<const cuda::Chunk*>(tables.const_data_ptr<int>() + 2 * documents);
}

Layout layout(const Inputs& inputs, std::int64_t first, std::int64_t last) {
  static std::mutex mutex;
  static std::deque<Kept> kept;
  const c10::Device device = inputs.q_BTGK.device();
  const std::vector<std::int64_t> all = document_starts(inputs);
  const std::vector<std::int64_t> starts(all.begin() + first, all.begin() + last + 1);
  const std::lock_guard lock(mutex);
  for (const Kept& one : kept) {
    if (one.device == device && one.starts == starts) return one.layout;
  }
  kept.push_front({device, starts, lay_out(starts, device)});
  if (kept.size() > kKept) kept.pop_back();
  return kept.front().layout;
}

}  // namespace mdnlab::scan
