// What a block of tokens does to the state, from the gates alone (recurrences.md, section 2; letters of
// chunk_tokens.h). Blocks double from one token to a whole chunk, so that every coefficient is a sum of
// products of gates: nothing is divided by a gate, and no sum of log-gates is subtracted from another.
//
// With s before the block's first token, e its last, and the write of token j being η_j k_j r_jᵀ:
//
//     S_t ∋ a_t∘S_s − b_t∘M_s        M_t ∋ m_t∘M_s        for t in the block
//     S_e ∋ G_j∘write_j              M_e ∋ −R_j∘write_j   for j in the block
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace mdnlab::scan::batched {

// [E,C,W]; logarithms where a product of equal factors would drift. Without momentum only log_a and G. The
// same struct holds the adjoints of these.
struct Passage {
  at::Tensor log_a, log_m, b;
  at::Tensor G, log_R;

  bool has_momentum() const { return b.defined(); }
};

// Tokens in blocks of `size`, two by two: [E,C,X] → each [E,C/(2·size),size,X], views.
struct Halves {
  at::Tensor first, second;
};
Halves halves(const at::Tensor& value, std::int64_t size);

// Row t becomes row t−1, the first `initial`; along the last dimension but one. And its adjoint.
at::Tensor row_before(const at::Tensor& value, double initial);
at::Tensor adjoint_of_row_before(const at::Tensor& adjoint);

Passage passage_of_tokens(const at::Tensor& log_alpha, const at::Tensor& log_mu, const at::Tensor& beta);

// From blocks of `size` to blocks of 2·size.
Passage doubled(const Passage& passage, std::int64_t size);

// Its adjoint: from that of doubled(passage, size) to that of `passage`.
Passage adjoint_of_doubled(const Passage& adjoint, const Passage& passage, std::int64_t size);

}  // namespace mdnlab::scan::batched
