// Documents cut into chunks, all chunks of all heads in one batch.
//
// Shape letters beside those of chunk.h: C chunk size, E chunk and head (E = chunks·H). The longest documents
// come first, and the batch holds the first chunks of all documents, then all second ones, and so on: those
// that a step of the walk takes at once lie together, and nothing is padded but a document's last chunk.
#pragma once

#include <cstdint>
#include <vector>

#include "scan/inputs.h"

namespace mdnlab::scan::batched {

// Chunks of one step of the walk: batch entries [first, first + count), of the first `count` states.
struct Step {
  std::int64_t first, count;
};

class Packing {
 public:
  // The chunk size is a power of two: the least that is not below options.chunk_size (0: kLargestChunk) or
  // the longest document, at most kLargestChunk.
  Packing(const Inputs& inputs, const Options& options);

  static constexpr std::int64_t kLargestChunk = 64;

  std::int64_t chunk_size() const { return chunk_size_; }
  std::int64_t batch() const { return is_pad_E_C_.size(0); }
  const std::vector<Step>& steps() const { return steps_; }

  // [B,T,H,X] or, of shared heads, [B,T,G,X], or a gate [B,T,H] → [E,C,X]. Rows beyond a document's end hold
  // another token of it.
  at::Tensor pack(const at::Tensor& value) const;
  // [E,C,X] → [B,T,H,X]
  at::Tensor unpack(const at::Tensor& value_ECX) const;
  // [E,C,1], whether a row is beyond its document's end.
  const at::Tensor& is_pad() const { return is_pad_E_C_; }

  // [N,H,K,V] → [N·H,K,V] in the order of the walk, and back.
  at::Tensor pack_state(const at::Tensor& state_NHKV) const;
  at::Tensor unpack_state(const at::Tensor& state) const;

 private:
  std::int64_t chunk_size_, B_, T_, G_, H_;
  std::vector<Step> steps_;
  at::Tensor value_rows_, key_rows_;  // [E·C], into the rows of [B,T,H,·] and [B,T,G,·]
  at::Tensor packed_rows_;            // [B·T·H], the way back
  at::Tensor is_pad_E_C_;
  at::Tensor document_of_rank_, rank_of_document_;  // [N]
};

}  // namespace mdnlab::scan::batched
