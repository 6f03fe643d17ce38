// What the walk over the chunks multiplies (recurrences.md, section 2, for scalar and channel-wise gates).
#pragma once

#include "scan/batched/chunk_tokens.h"

namespace mdnlab::scan::batched {

// Z is the height of the stacked state X = [S; M]: 2K with momentum, else K. Per chunk and head:
//
//     (I + A) w = V − D X        O = Q X + L w        X⁺ = Φ X + Ψᵀ w ,  Φ = [[ā_C, −b_C], [0, m̄_C]]
struct Operands {
  at::Tensor A, L;       // [E,C,C], strictly lower and lower
  at::Tensor D, Q, Psi;  // [E,C,Z]
  at::Tensor phi;        // [E,Z/K,W,1], ā_C and m̄_C
  at::Tensor b;          // [E,W,1], b_C; undefined without momentum
  // A and D are undefined without delta.

  Operands narrow(std::int64_t first, std::int64_t count) const;
};

Operands operands_of(const ChunkTokens& tokens, bool has_delta);

// `d` holds the adjoints of the operands, those of phi and b with W = K, as the walk sums them over V:
// [E,Z/K,K,1] and [E,K,1]. Returns those of the tokens, but for v, which the operands do not depend on.
ChunkTokens adjoint_of_operands(const Operands& d, const ChunkTokens& tokens);

}  // namespace mdnlab::scan::batched
