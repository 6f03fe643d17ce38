// Keys of 256 columns. The registers of a warpgroup take 128 key columns of S and M, so two warpgroups of a
// block hold a state between them, 64 value columns of it. What is summed over the keys each makes for its
// own columns and adds to the other's through shared memory. A sum of two is the same in either order: both
// go on with the same bits.
#pragma once

#include "scan/cuda/problem.h"
#include "scan/cuda/sm90.cuh"
#include "scan/cuda/state.cuh"

namespace mdnlab::scan::cuda {

constexpr int kParts = 2;
constexpr int kPartWidth = 128, kWideWidth = kParts * kPartWidth;  // of keys
constexpr int kPartPanels = kPartWidth / kPanel;
constexpr int kPartBytes = kPartPanels * kPanelElements * 2;  // a part's columns of a tile
constexpr int kHoldingThreads = kParts * kWarpgroup, kWideThreads = kHoldingThreads + kWarpgroup;
constexpr int kHoldingRegisters = 240, kWideBringerRegisters = 24;
constexpr int kKeySlots = 2;  // the tiles that a chunk needs to its end; of the others there is one of each

// A fragment of N registers on its way from each thread of one part to the same thread of the other.
template <int N>
using Parked = float4[N / 4][kWarpgroup];

template <int N>
__device__ inline void park(Parked<N>& to, const float (&z)[N], int thread) {
#pragma unroll
  for (int i = 0; i < N / 4; ++i)
    to[i][thread] = make_float4(z[4 * i], z[4 * i + 1], z[4 * i + 2], z[4 * i + 3]);
}

template <int N>
__device__ inline void add_parked(float (&z)[N], const Parked<N>& from, int thread) {
#pragma unroll
  for (int i = 0; i < N / 4; ++i) {
    const float4 four = from[i][thread];
    z[4 * i] += four.x;
    z[4 * i + 1] += four.y;
    z[4 * i + 2] += four.z;
    z[4 * i + 3] += four.w;
  }
}

// z = of_S∘(Sᵀ·Bᵀ) − of_M∘(Mᵀ·Bᵀ) over this part's columns, for the operand b of 64 tokens along k; with
// `lay` the rounded state goes into the panels at `staged` as well.
template <class T, bool has_momentum, bool lay>
__device__ inline void read_part(const Half<kPartWidth>& s, const Half<kPartWidth>& m, float (&z)[32],
                                 std::uint64_t b, const float (&of_S)[kChunk], const float (&of_M)[kChunk],
                                 std::uint32_t staged, int warp, int lane) {
  read_half<T, kPartWidth, true, 8192, lay>(s, z, b, staged, warp, lane);
  wait_products<0>();
  float z_M[32];
  if constexpr (has_momentum) {
    read_half<T, kPartWidth, true, 8192, lay>(m, z_M, b, staged + kParts * kPartBytes, warp, lane);
    wait_products<0>();
    fence_fragment(z_M);
  }
  fence_fragment(z);
#pragma unroll
  for (int n = 0; n < 8; ++n) {
    const float2 factor_S = pair_of(of_S, n, lane), factor_M = pair_of(of_M, n, lane);
#pragma unroll
    for (int i = 4 * n; i < 4 * n + 4; i += 2) {
      z[i] *= factor_S.x;
      z[i + 1] *= factor_S.y;
      if constexpr (has_momentum) {
        z[i] -= factor_M.x * z_M[i];
        z[i + 1] -= factor_M.y * z_M[i + 1];
      }
    }
  }
}

}  // namespace mdnlab::scan::cuda
