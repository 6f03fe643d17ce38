// Keys of 256 columns. The registers of a warpgroup take 128 key columns of S and M, so two warpgroups of a
// block hold a state between them, 64 value columns of it. What is summed over the keys each makes for its
// own columns and adds to the other's through shared memory. A sum of two is the same in either order: both
// go on with the same bits.
#pragma once

#include <type_traits>

#include "scan/cuda/channel_operands.cuh"
#include "scan/cuda/problem.h"
#include "scan/cuda/sm90.cuh"
#include "scan/cuda/state.cuh"

namespace mdnlab::scan::cuda {

constexpr int kParts = 2;
constexpr int kPartWidth = kWideWidth / kParts;  // of keys
constexpr int kPartPanels = kPartWidth / kPanel;
constexpr int kPartBytes = kPartPanels * kPanelElements * 2;  // a part's columns of a tile
constexpr int kHoldingThreads = kParts * kWarpgroup, kWideThreads = kHoldingThreads + kWarpgroup;
constexpr int kHoldingRegisters = 240, kWideBringerRegisters = 24;
constexpr int kKeySlots = 2;  // the tiles that a chunk needs to its end; of the others there is one of each

// Channel-wise decay (channel_operands.cuh) has D, Q̂ and Ψ where scalar decay has k and q, and ā_C besides
// the coefficients. There is room for one chunk's. Tiles that a chunk begins with go as soon as they are
// read; the last comes by itself.
constexpr int key_slots(bool has_channels) { return has_channels ? 1 : kKeySlots; }

template <class T, class Arguments>
struct ChannelWideArguments : Arguments {
  const ChannelOperands<T, kWideWidth>* operands;  // [chunks·H]
};
template <class T, class Arguments, bool has_channels>
using WideArguments = std::conditional_t<has_channels, ChannelWideArguments<T, Arguments>, Arguments>;

// The last tile, Ψ or, backwards, D, and ā_C by part.
template <class T, bool has_channels>
struct LastTile {};
template <class T>
struct LastTile<T, true> {
  alignas(1024) T last[kChunk * kWideWidth];
  float keep[kParts][kPartWidth];
  std::uint64_t last_full, last_empty;
};

template <class T>
__device__ inline void init_last(LastTile<T, true>& shared) {
  init_barrier(&shared.last_full, 1);
  init_barrier(&shared.last_empty, kHoldingThreads);
}

// A warp brings it for `chunks` chunks, the i-th from last_of(i).
template <class T>
struct LastOf {
  const T* tile;
  const float* keep;
};
template <class T, class Of>
__device__ inline void bring_last(LastTile<T, true>& shared, int chunks, Of&& last_of) {
  if (threadIdx.x % 32 != 0) return;
#pragma unroll 1
  for (int i = 0; i < chunks; ++i) {
    if (i > 0) wait(&shared.last_empty, (i - 1) & 1);
    arrive_expecting(&shared.last_full, sizeof(shared.last) + sizeof(shared.keep));
    const LastOf<T> of = last_of(i);
    copy_bytes(shared.last, of.tile, sizeof(shared.last), &shared.last_full);
    copy_bytes(shared.keep, of.keep, sizeof(shared.keep), &shared.last_full);
  }
}

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
