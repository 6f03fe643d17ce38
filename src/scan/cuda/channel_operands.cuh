// What a chunk of a head with channel-wise decay hands to the scans: everything of it that needs no state.
// With ā_t = α_1∘…∘α_t and a_{j→C} = α_{j+1}∘…∘α_C from the chunk's start and to its end,
//
//     D_t = ā_t∘k_t      Q̂_t = ā_t∘q_t      Ψ_j = β_j a_{j→C}∘k_j
//     A_tj = ⟨k_t, β_j a_{j→t}∘k_j⟩ for j < t      L_tj = ⟨q_t, β_j a_{j→t}∘k_j⟩ for j ≤ t
//     (I + A) w = V − D X      O = Q̂ X + L w      X⁺ = ā_C∘X + Ψᵀ w
//
// With momentum μ = ν∘α, ν a number, the coefficients of a rule without decay (recurrences.md, section 2: β,
// η and ν in place of μ) stand beside: α is in the tiles, which then hold no β,
//
//     A_tj = η_j G_{t−1,j} ⟨k_t, a_{j→t}∘k_j⟩      L_tj = η_j (G_tj + ωR_tj) ⟨q_t, a_{j→t}∘k_j⟩
//     (I + A) w = V − D (S − read_M∘M)      O = Q̂ (S − out_M∘M) + L w
//     S⁺ = ā_C∘(S − cross M) + Ψᵀ (write_S∘w)      M⁺ = keep_M ā_C∘M − Ψᵀ (write_M∘w)
//
// Without delta A and D are 0. Where K is 256 there are coefficients without momentum too
// (channel_prepare.cuh).
#pragma once

#include "scan/cuda/channel_scales.cuh"
#include "scan/cuda/problem.h"

namespace mdnlab::scan::cuda {

// Matrices are swizzled panels of 64 columns (sm90.cuh).
template <class T, int K>
struct ChannelTiles {
  T scores[kPanelElements];  // L
  T out[kChunk * K];         // Q̂
  T read[kChunk * K];        // D
  T write[kChunk * K];       // Ψ
  T inverse[kPanelElements];  // (I + A)⁻¹ − I: what is added to the identity is rounded, and not the identity
  float keep[K];              // ā_C
};

// An entry for each chunk and head.
template <class T, int K>
struct ChannelOperands : ChannelTiles<T, K>, TileScales<T> {};

// With momentum, for the backward pass: the pairs of a chunk before G and R are upon them.
template <class T>
struct ChannelPairs {
  T query_key[kPanelElements];  // ⟨q_t, a_{j→t}∘k_j⟩ for j ≤ t; above the diagonal anything
  T key_key[kPanelElements];    // ⟨k_t, a_{j→t}∘k_j⟩ for j < t; likewise
};

// What coefficients.cuh is told: gates of a head, without decay.
struct HeadGates {
  const float *log_alpha, *log_mu, *beta, *eta;  // (tokens,H): null, log ν, and as in scan::Inputs
  float look_ahead;
  Sizes sizes;
};

}  // namespace mdnlab::scan::cuda
