// What a chunk of a head with channel-wise decay hands to the scans: everything of it that needs no state.
// With ā_t = α_1∘…∘α_t and a_{j→C} = α_{j+1}∘…∘α_C from the chunk's start and to its end,
//
//     D_t = ā_t∘k_t      Q̂_t = ā_t∘q_t      Ψ_j = β_j a_{j→C}∘k_j
//     A_tj = ⟨k_t, β_j a_{j→t}∘k_j⟩ for j < t      L_tj = ⟨q_t, β_j a_{j→t}∘k_j⟩ for j ≤ t
//     (I + A) w = V − D X      O = Q̂ X + L w      X⁺ = ā_C∘X + Ψᵀ w
#pragma once

#include "scan/cuda/problem.h"

namespace mdnlab::scan::cuda {

// Matrices are swizzled panels of 64 columns (sm90.cuh). An entry for each chunk and head.
template <class T, int K>
struct ChannelOperands {
  T scores[kPanelElements];  // L
  T out[kChunk * K];         // Q̂
  T read[kChunk * K];        // D
  T write[kChunk * K];       // Ψ
  T inverse[kPanelElements];  // (I + A)⁻¹ − I: what is added to the identity is rounded, and not the identity
  float keep[K];              // ā_C
};

}  // namespace mdnlab::scan::cuda
