// The matrices A and L of a chunk, pair by pair of blocks: what the tokens of every second block read of what
// those of the first one before it wrote.
#pragma once

#include "scan/batched/blocks.h"

namespace mdnlab::scan::batched {

struct Keys {
  at::Tensor q, p, written_key;  // [E,C,K]; p undefined without delta, written_key η_j k_j
};

// Scalar gates stand before the products of keys: with these the matrices are the coefficients of
// ⟨q_t, η_j k_j⟩ and ⟨p_t, η_j k_j⟩ alone.
Keys unit_keys(const ChunkTokens& tokens);

// L and, where defined, A, of which the entries above the diagonal are 0 already. The gates are `tokens`', as
// `levels` has them (passages()).
void fill_pairs(const Keys& keys, const ChunkTokens& tokens, const std::vector<Passage>& levels,
                const at::Tensor& L, const at::Tensor& A);

// What output t reads beside S_t of its own write, η_t k_t r_tᵀ: β_t + ω, [E,C,1].
at::Tensor own_write(const ChunkTokens& tokens);

}  // namespace mdnlab::scan::batched
