#include "ops/documents.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <numeric>

#include "scan/upload.h"

namespace mdnlab::ops {

Documents Documents::to(at::Device device) const {
  return exist() ? Documents{cu_seqlens, upload(position_BT, device)} : Documents{};
}

Documents documents(std::int64_t batch, std::int64_t tokens, std::vector<std::int32_t> starts) {
  if (std::ranges::all_of(starts, [&](std::int32_t start) { return start % tokens == 0; })) return {};
  for (std::int64_t row = 0; row < batch; ++row) starts.push_back(static_cast<std::int32_t>(row * tokens));
  std::ranges::sort(starts);
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  starts.push_back(static_cast<std::int32_t>(batch * tokens));

  Documents result{at::empty({static_cast<std::int64_t>(starts.size())}, at::kInt),
                   at::empty({batch, tokens}, at::kLong)};
  std::ranges::copy(starts, result.cu_seqlens.data_ptr<std::int32_t>());
  auto* position = result.position_BT.data_ptr<std::int64_t>();
  for (std::size_t n = 0; n + 1 < starts.size(); ++n) {
    std::iota(position + starts[n], position + starts[n + 1], 0);
  }
  return result;
}

}  // namespace mdnlab::ops
