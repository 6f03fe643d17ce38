// Causal softmax attention, whole or over a window. H heads of queries, G heads of keys and values (G divides
// H), K width, T queries, S ≥ T keys: the queries are the last T of S tokens.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "ops/documents.h"

namespace mdnlab::ops {

// q (B,H,T,K), k and v (B,G,S,K) → o (B,H,T,K), scores scaled by K^−½. Each token sees itself and what is
// before it, its own document only where documents exist (then S = T), and with a window the last `window`
// tokens, itself among them. With a window, time and memory grow as T·window: no T×T mask is made.
at::Tensor causal_attention(const at::Tensor& q_BHTK, const at::Tensor& k_BGSK, const at::Tensor& v_BGSK,
                            const Documents& documents, std::optional<std::int64_t> window);

// One query a head, q (B,H,1,K), over those of the S keys where `mask` (1,1,1,S) is true: o (B,H,1,K).
at::Tensor attention_over(const at::Tensor& q_BH1K, const at::Tensor& k_BGSK, const at::Tensor& v_BGSK,
                          const at::Tensor& mask_111S);

}  // namespace mdnlab::ops
