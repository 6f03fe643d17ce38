#include "scan/batched/packing.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <bit>
#include <numeric>

#include "scan/upload.h"

namespace mdnlab::scan::batched {

namespace {

std::int64_t chunk_size_of(const std::vector<std::int64_t>& starts, const Options& options) {
  std::int64_t longest = 1;
  for (std::size_t n = 0; n + 1 < starts.size(); ++n) longest = std::max(longest, starts[n + 1] - starts[n]);
  const std::int64_t wish = options.chunk_size > 0 ? options.chunk_size : Packing::kLargestChunk;
  const auto least = static_cast<std::uint64_t>(std::min({wish, longest, Packing::kLargestChunk}));
  return static_cast<std::int64_t>(std::bit_ceil(least));
}

}  // namespace

Packing::Packing(const Inputs& inputs, const Options& options)
    : B_(inputs.q_BTGK.size(0)),
      T_(inputs.q_BTGK.size(1)),
      G_(inputs.q_BTGK.size(2)),
      H_(inputs.v_BTHV.size(2)) {
  const std::vector<std::int64_t> starts = document_starts(inputs);
  const std::size_t documents = starts.size() - 1;
  const std::int64_t C = chunk_size_ = chunk_size_of(starts, options);
  const auto chunks_of = [&](std::int64_t n) {
    const auto at = static_cast<std::size_t>(n);
    return (starts[at + 1] - starts[at] + C - 1) / C;
  };
  std::vector<std::int64_t> document_of_rank(documents), rank_of_document(documents);
  std::iota(document_of_rank.begin(), document_of_rank.end(), 0);
  std::ranges::stable_sort(document_of_rank, std::ranges::greater(), chunks_of);

  std::vector<std::int64_t> first_tokens, counts;                            // of each chunk
  std::vector<std::int64_t> packed_rows(static_cast<std::size_t>(B_ * T_));  // of head 0
  for (std::int64_t step = 0;; ++step) {
    const auto first = static_cast<std::int64_t>(first_tokens.size());
    for (const std::int64_t n : document_of_rank) {
      if (chunks_of(n) <= step) break;
      const std::int64_t begin = starts[static_cast<std::size_t>(n)] + step * C,
                         end = std::min(begin + C, starts[static_cast<std::size_t>(n) + 1]);
      const auto chunk = static_cast<std::int64_t>(first_tokens.size());
      for (std::int64_t token = begin; token < end; ++token)
        packed_rows[static_cast<std::size_t>(token)] = chunk * H_ * C + token - begin;
      first_tokens.push_back(begin);
      counts.push_back(end - begin);
    }
    const std::int64_t count = static_cast<std::int64_t>(first_tokens.size()) - first;
    if (count == 0) break;
    steps_.push_back({first * H_, count * H_});
  }
  for (std::size_t rank = 0; rank < documents; ++rank)
    rank_of_document[static_cast<std::size_t>(document_of_rank[rank])] = static_cast<std::int64_t>(rank);

  const auto whole = inputs.q_BTGK.options().dtype(at::kLong);
  const auto list = [&](const std::vector<std::int64_t>& values) {
    return upload(at::tensor(at::ArrayRef<std::int64_t>(values), at::kLong), whole.device());
  };
  document_of_rank_ = list(document_of_rank);
  rank_of_document_ = list(rank_of_document);
  const auto chunks = static_cast<std::int64_t>(counts.size());
  const at::Tensor slot_C = at::arange(C, whole), head_H1 = at::arange(H_, whole).unsqueeze(1);
  const at::Tensor is_pad_N1C = slot_C >= list(counts).view({chunks, 1, 1});
  const at::Tensor token_N1C = list(first_tokens).view({chunks, 1, 1}) + slot_C.masked_fill(is_pad_N1C, 0);
  const at::Tensor key_head_H1 = head_H1.div(H_ / G_, "trunc");
  is_pad_E_C_ = is_pad_N1C.expand({chunks, H_, C}).reshape({chunks * H_, C, 1});
  value_rows_ = (token_N1C * H_ + head_H1).flatten();
  key_rows_ = (token_N1C * G_ + key_head_H1).flatten();
  packed_rows_ = (list(packed_rows).unsqueeze(1) + at::arange(H_, whole) * C).flatten();
}

at::Tensor Packing::pack(const at::Tensor& value) const {
  const std::int64_t heads = value.size(2), width = value.dim() == 4 ? value.size(3) : 1;
  const at::Tensor& rows = heads == H_ ? value_rows_ : key_rows_;
  return value.reshape({B_ * T_ * heads, width}).index_select(0, rows).view({batch(), chunk_size_, width});
}

at::Tensor Packing::unpack(const at::Tensor& value_ECX) const {
  return value_ECX.flatten(0, 1).index_select(0, packed_rows_).view({B_, T_, H_, value_ECX.size(2)});
}

at::Tensor Packing::pack_state(const at::Tensor& state_NHKV) const {
  return state_NHKV.index_select(0, document_of_rank_).flatten(0, 1);
}

at::Tensor Packing::unpack_state(const at::Tensor& state) const {
  return state.unflatten(0, {rank_of_document_.size(0), H_}).index_select(0, rank_of_document_);
}

}  // namespace mdnlab::scan::batched
