// The tokens of every chunk, in the dtype of the computation.
#pragma once

#include "scan/batched/packing.h"

namespace mdnlab::scan::batched {

// Beside packing.h's letters: W is the width of the gates, K with channel-wise decay, else 1. Rows beyond a
// document's end are neutral: log-gates 0, the others 0.
//
// So are rows with a number that is none (NaN, ±∞ but for a log-gate of −∞): in a matrix product even an
// exact zero would carry it to earlier tokens. What they do to the tokens from there on is in `poison`.
struct ChunkTokens {
  at::Tensor q, k;               // [E,C,K]
  at::Tensor v;                  // [E,C,V]
  at::Tensor p;                  // [E,C,K], αk where the inputs have none; undefined without delta
  at::Tensor log_alpha, log_mu;  // [E,C,W]; log_alpha is 0 where the rule has none, log_mu undefined
  at::Tensor beta, eta;          // [E,C,1]
  at::Tensor poison;             // [E,C,1]: NaN from a chunk's first row with a number that is none, else 0
  double look_ahead = 0;

  bool has_momentum() const { return log_mu.defined(); }
  std::int64_t gate_width() const { return log_alpha.size(2); }
  ChunkTokens narrow(std::int64_t first, std::int64_t count) const;
};

ChunkTokens chunk_tokens(const Inputs& inputs, const Packing& packing);

// From the adjoints of its result (`poison` has none) to the gradients that are wanted, in the layout and the
// dtypes of the inputs; those of the states are left undefined.
Inputs adjoint_of_chunk_tokens(const Inputs& inputs, const Packing& packing, const ChunkTokens& tokens,
                               ChunkTokens adjoints, const std::array<bool, kTensors>& wanted);

}  // namespace mdnlab::scan::batched
