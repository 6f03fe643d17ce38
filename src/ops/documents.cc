#include "ops/documents.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <numeric>

#include "scan/upload.h"

namespace mdnlab::ops {

Documents Documents::to(at::Device device) const {
  return exist() ? Documents{cu_seqlens, upload(position_BT, device)} : Documents{};
}

std::int64_t Documents::most_in_a_row() const {
  if (!exist()) return 1;
  const auto* const start = cu_seqlens.const_data_ptr<std::int32_t>();
  const std::int64_t tokens = position_BT.size(1);
  std::int64_t most = 0, row = -1, count = 0;
  for (std::int64_t n = 0; n + 1 < cu_seqlens.numel(); ++n) {
    count = start[n] / tokens == row ? count + 1 : 1;
    row = start[n] / tokens;
    most = std::max(most, count);
  }
  return most;
}

namespace {

// From the starts in their order and the end of all.
Documents from_starts(std::int64_t batch, std::int64_t tokens, const std::vector<std::int32_t>& starts) {
  Documents result{at::empty({static_cast<std::int64_t>(starts.size())}, at::kInt),
                   at::empty({batch, tokens}, at::kLong)};
  std::ranges::copy(starts, result.cu_seqlens.data_ptr<std::int32_t>());
  auto* position = result.position_BT.data_ptr<std::int64_t>();
  for (std::size_t n = 0; n + 1 < starts.size(); ++n) {
    std::iota(position + starts[n], position + starts[n + 1], 0);
  }
  return result;
}

}  // namespace

Documents documents(std::int64_t batch, std::int64_t tokens, std::vector<std::int32_t> starts) {
  if (std::ranges::all_of(starts, [&](std::int32_t start) { return start % tokens == 0; })) return {};
  for (std::int64_t row = 0; row < batch; ++row) starts.push_back(static_cast<std::int32_t>(row * tokens));
  std::ranges::sort(starts);
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  starts.push_back(static_cast<std::int32_t>(batch * tokens));
  return from_starts(batch, tokens, starts);
}

Documents filled_up(const Documents& given, std::int64_t batch, std::int64_t tokens, std::int64_t in_a_row,
                    at::Device device) {
  std::vector<std::int32_t> starts;
  const std::int32_t* next = given.exist() ? given.cu_seqlens.const_data_ptr<std::int32_t>() : nullptr;
  for (std::int64_t row = 0; row < batch; ++row) {
    const auto begin = static_cast<std::int32_t>(row * tokens),
               end = static_cast<std::int32_t>((row + 1) * tokens);
    if (next) {
      for (; *next < end; ++next) starts.push_back(*next);
    } else {
      starts.push_back(begin);
    }
    starts.resize(static_cast<std::size_t>((row + 1) * in_a_row), end);
  }
  starts.push_back(static_cast<std::int32_t>(batch * tokens));
  const Documents result = from_starts(batch, tokens, starts);
  return {upload(result.cu_seqlens, device), upload(result.position_BT, device)};
}

}  // namespace mdnlab::ops
