// What flows back between the tokens of a chunk: dL = lower(dO wᵀ) and dA = −strictly lower(dr wᵀ).
#pragma once

#include "scan/cuda/adjoint_tiles.cuh"

namespace mdnlab::scan::cuda {

// Which of the two a warpgroup makes.
struct Share {
  bool L, A;
};

// Leaves them in shared memory times G + ωR, G⁻, α and η (rounded, for dQ and dK), and in `terms` times QKᵀ
// and KKᵀ (for the gates). One warpgroup; one with no share only lets the tiles pass. Returns what both are
// scaled up by.
template <class T, bool has_delta, Share share, class Shared>
__device__ inline Scale within_chunk(const AdjointArguments<T>& in, Shared& shared, Ring<kTokenSlots>& ring,
                                     const Item& item, GateTerms& terms, int warp, int lane) {
  constexpr Major kW = has_delta ? Major::mn : Major::k;
  const T* const element = nullptr;
  float d_L[share.L ? 32 : 1] = {}, d_A[share.A ? 32 : 1] = {}, qk[share.L ? 32 : 1] = {},
                           kk[share.A ? 32 : 1] = {};
  for (int tile = 0; tile < in.sizes.value_width / kPanel; ++tile, ++ring.turn) {
    auto& tokens = shared.tokens[ring.slot()];
    wait(&shared.tokens_full[ring.slot()], ring.parity());
    if constexpr (share.L || share.A) {
      const std::uint64_t d_o = operand<Major::k>(shared_address(tokens.d_o)),
                          d_r = operand<Major::k>(shared_address(tokens.other)),
                          w = operand<kW>(shared_address(has_delta ? tokens.w : tokens.other));
      if constexpr (share.L) fence_fragment(d_L);
      if constexpr (share.A) fence_fragment(d_A);
      begin_products();
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if constexpr (share.L)
          product<Major::k, kW>(d_L, element, d_o + step<Major::k>(i), w + step<kW>(i), true);
        if constexpr (share.A)
          product<Major::k, kW>(d_A, element, d_r + step<Major::k>(i), w + step<kW>(i), true);
      }
      commit_products();
      wait_products<0>();
      if constexpr (share.L) fence_fragment(d_L);
      if constexpr (share.A) fence_fragment(d_A);
    }
    arrive(&shared.tokens_empty[ring.slot()]);
  }
  if constexpr (share.L || share.A) {
    wait(&shared.keys_full, item.keys_parity);
    const std::uint64_t q = operand<Major::k>(shared_address(shared.keys.q)),
                        k = operand<Major::k>(shared_address(shared.keys.k));
    if constexpr (share.L) fence_fragment(qk);
    if constexpr (share.A) fence_fragment(kk);
    begin_products();
#pragma unroll
    for (int i = 0; i < Shared::width / 16; ++i) {
      if constexpr (share.L)
        product<Major::k, Major::k>(qk, element, q + step<Major::k>(i), k + step<Major::k>(i), true);
      if constexpr (share.A)
        product<Major::k, Major::k>(kk, element, k + step<Major::k>(i), k + step<Major::k>(i), true);
    }
    commit_products();
    wait_products<0>();
    if constexpr (share.L) fence_fragment(qk);
    if constexpr (share.A) fence_fragment(kk);
  }
  sync(1, Shared::groups * kWarpgroup);  // Γ is there
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int t = 16 * warp + lane / 4 + 8 * h;
    const GammaRow row(shared.gamma, in.look_ahead, t);
    const float alpha = shared.gamma.alpha[t];
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      const int first = 8 * n + 2 * (lane % 4);
      if constexpr (share.L && !has_delta) {  // nobody reads what is right of the diagonal
        const int i = 4 * n + 2 * h;
        *reinterpret_cast<float2*>(&terms.within[t][first]) = {d_L[i] * qk[i], d_L[i + 1] * qk[i + 1]};
      }
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int j = first + e, i = 4 * n + 2 * h + e;
        const auto [out, before] = row[j];
        const float eta = shared.gamma.eta[j];
        if constexpr (share.L) {
          if (has_delta && j <= t) terms.within[t][j] = d_L[i] * qk[i];
          d_L[i] *= out * eta;
        }
        if constexpr (share.A) {
          if (j < t) terms.within[j][t] = -d_A[i] * kk[i];
          d_A[i] *= -alpha * before * eta;
        }
      }
    }
  }
  arrive(&shared.gates_empty);
  Scale scale;
  if constexpr (has_short_range<T>) {
    float largest = 0;
    for (const float x : d_L) largest = fmaxf(largest, fabsf(x));
    for (const float x : d_A) largest = fmaxf(largest, fabsf(x));
    largest = largest_of(largest);
    if (lane == 0) shared.largest[threadIdx.x / 32] = largest;
    arrive(&shared.largest_full);
    wait(&shared.largest_full, item.parity);
    for (int i = 0; i < 4 * Shared::groups; ++i) largest = fmaxf(largest, shared.largest[i]);
    scale = scale_to_one(largest);
    for (float& x : d_L) x *= scale.up;
    for (float& x : d_A) x *= scale.up;
  }
  if constexpr (share.L) lay_fragment(d_L, shared.d_L, warp, lane);
  if constexpr (share.A) lay_fragment(d_A, shared.d_A, warp, lane);
  if constexpr (share.L || share.A) fence_shared();
  return scale;
}

}  // namespace mdnlab::scan::cuda
