// The first half of the backward pass within each chunk and head with channel-wise decay: everything that is
// summed over the values,
//
//     dL = lower(dO wᵀ)      dA = −strictly lower(dr wᵀ)
//     dQ̂ = dO Xᵀ      dD = −dr Xᵀ      dΨ = w dX⁺ᵀ      Σ_v X∘dX⁺
//
// A block goes through chunks and heads. A warpgroup takes 64 key columns, so that its products stay in
// registers; two warps of one more bring the tokens' tiles and the states. Wider keys go in parts of 128
// columns (adjoint_parts() in problem.h); dL and dA each part makes for itself.
#pragma once

#include "scan/cuda/adjoint_tiles.cuh"

namespace mdnlab::scan::cuda {

// Matrices are swizzled panels of 64 columns. An entry for each chunk, head and part of the keys, of K
// columns.
template <class T, int K>
struct ChannelProductsOf {
  T within_out[kPanelElements];   // dL
  T within_read[kPanelElements];  // dA
  T out[kChunk * K];              // dQ̂
  T read[kChunk * K];             // dD
  T write[kChunk * K];            // dΨ
  float keep[K];                  // Σ_v X∘dX⁺
};
template <class T, int K>
using ChannelProducts = ChannelProductsOf<T, adjoint_width(K)>;

// Which part a block makes.
template <int K>
__device__ inline int own_part() {
  return adjoint_parts(K) == 1 ? 0 : blockIdx.y;
}

template <class T, int K>
struct ChannelProductArguments {
  CUtensorMap d_o, d_r;  // (V,H,tokens), boxes of 64 columns, one head, 64 tokens
  const Chunk* chunk;
  Sizes sizes;
  bool has_delta;                          // without: dA and dD are 0
  const T *states, *d_states, *residuals;  // of the scans: X, dX⁺ and wᵀ
  ChannelProducts<T, K>* products;         // [chunks·H][parts]
};

template <class T, int K>
struct ChannelProductShared {
  static constexpr int groups = adjoint_width(K) / kPanel;
  alignas(1024) ChannelProducts<T, K> products;
  struct Tokens {  // 64 tokens × 64 values, and wᵀ, 64 values × 64 tokens
    alignas(1024) T d_o[kPanelElements];
    T d_r[kPanelElements];
    T w[kPanelElements];
  } tokens[kTokenSlots];
  struct States {  // of 64 key columns
    alignas(1024) T x[kSlice * kPanel];
    T d_x[kSlice * kPanel];
  } states[kStateSlots][groups];
  float keep[groups][kWarpgroup / 32][kPanel];
  std::uint64_t tokens_full[kTokenSlots], tokens_empty[kTokenSlots];
  std::uint64_t states_full[kStateSlots], states_empty[kStateSlots], tokens_landed;
};

// sum += x∘y of eight elements.
template <class T>
__device__ inline void add_products(float (&sum)[8], const uint4& x, const uint4& y) {
  const std::uint32_t a[4] = {x.x, x.y, x.z, x.w}, b[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    sum[2 * i] += Element<T>::low(a[i]) * Element<T>::low(b[i]);
    sum[2 * i + 1] += Element<T>::high(a[i]) * Element<T>::high(b[i]);
  }
}

// dL, or dA of the product dr wᵀ: what lies above the diagonal is zero.
__device__ inline void mask_within(float (&d)[32], bool is_out, bool has_delta, int warp, int lane) {
#pragma unroll
  for (int i = 0; i < 32; ++i) {
    const int t = 16 * warp + lane / 4 + i / 2 % 2 * 8, j = i / 4 * 8 + 2 * (lane % 4) + i % 2;
    if (is_out) {
      d[i] = j <= t ? d[i] : 0;
    } else {
      d[i] = has_delta && j < t ? -d[i] : 0;
    }
  }
}

template <class T, int K>
__device__ inline void make_products(const ChannelProductArguments<T, K>& in,
                                     ChannelProductShared<T, K>& shared) {
  constexpr int kGroups = ChannelProductShared<T, K>::groups, kThreads = kGroups * kWarpgroup,
                kWithin = 2 / kGroups;
  const int thread = threadIdx.x % kWarpgroup, warp = thread / 32, lane = thread % 32,
            group = threadIdx.x / kWarpgroup;
  const int H = in.sizes.heads, tiles = in.sizes.value_width / kPanel;
  const T* const element = nullptr;
  Ring<kTokenSlots> tokens_ring;
  Ring<kStateSlots> states_ring;
  for (int item = blockIdx.x; item < in.sizes.chunks * H; item += gridDim.x) {
    // One warpgroup makes dL and dA, or the first of two dL and the other dA.
    float within[kWithin][32] = {}, out[32] = {}, read[32] = {}, write[32] = {}, keep[8] = {};
    for (int tile = 0; tile < tiles; ++tile, ++tokens_ring.turn) {
      auto& tokens = shared.tokens[tokens_ring.slot()];
      wait(&shared.tokens_full[tokens_ring.slot()], tokens_ring.parity());
      const std::uint64_t d_o = operand<Major::k>(shared_address(tokens.d_o)),
                          d_r = operand<Major::k>(shared_address(tokens.d_r)),
                          w = operand<Major::mn>(shared_address(tokens.w));
      const std::uint64_t of_within[2] = {group == 0 ? d_o : d_r, d_r};
#pragma unroll
      for (int slice = 0; slice < kPanel / kSlice; ++slice, ++states_ring.turn) {
        auto& states = shared.states[states_ring.slot()][group];
        wait(&shared.states_full[states_ring.slot()], states_ring.parity());
        const std::uint64_t x = operand<Major::mn>(shared_address(states.x)),
                            d_x = operand<Major::mn>(shared_address(states.d_x));
#pragma unroll
        for (int i = 0; i < kWithin; ++i) fence_fragment(within[i]);
        fence_fragment(out);
        fence_fragment(read);
        fence_fragment(write);
        begin_products();
#pragma unroll
        for (int i = 0; i < kSlice / 16; ++i) {
          const int at = slice * (kSlice / 16) + i;
          product<Major::k, Major::mn>(out, element, d_o + step<Major::k>(at), x + step<Major::mn>(i), true);
          product<Major::k, Major::mn>(read, element, d_r + step<Major::k>(at), x + step<Major::mn>(i), true);
          product<Major::mn, Major::mn>(write, element, w + step<Major::mn>(at), d_x + step<Major::mn>(i),
                                        true);
#pragma unroll
          for (int j = 0; j < kWithin; ++j) {
            product<Major::k, Major::mn>(within[j], element, of_within[j] + step<Major::k>(at),
                                         w + step<Major::mn>(at), true);
          }
        }
        commit_products();
#pragma unroll
        for (int row = thread / 8; row < kSlice; row += kWarpgroup / 8) {
          const int piece = row * 8 + (thread % 8 ^ (row & 7));
          add_products<T>(keep, reinterpret_cast<const uint4*>(states.x)[piece],
                          reinterpret_cast<const uint4*>(states.d_x)[piece]);
        }
        wait_products<0>();
#pragma unroll
        for (int i = 0; i < kWithin; ++i) fence_fragment(within[i]);
        fence_fragment(out);
        fence_fragment(read);
        fence_fragment(write);
        arrive(&shared.states_empty[states_ring.slot()]);
      }
      arrive(&shared.tokens_empty[tokens_ring.slot()]);
    }

#pragma unroll
    for (int i = 0; i < 8; ++i) {
      keep[i] += __shfl_xor_sync(~0u, keep[i], 8);
      keep[i] += __shfl_xor_sync(~0u, keep[i], 16);
      if (lane < 8) shared.keep[group][warp][8 * lane + i] = keep[i];
    }
    if (threadIdx.x == 0) wait_stores_read();
    sync(1, kThreads);  // the products before have left shared memory
    auto& products = shared.products;
    if (thread < kPanel) {
      float sum = 0;
      for (int part = 0; part < kWarpgroup / 32; ++part) sum += shared.keep[group][part][thread];
      products.keep[group * kPanel + thread] = sum;
    }
    mask_within(within[0], group == 0, in.has_delta, warp, lane);
    lay_fragment(within[0], group == 0 ? products.within_out : products.within_read, warp, lane);
    if constexpr (kWithin == 2) {
      mask_within(within[1], false, in.has_delta, warp, lane);
      lay_fragment(within[1], products.within_read, warp, lane);
    }
#pragma unroll
    for (int i = 0; i < 32; ++i) read[i] = in.has_delta ? -read[i] : 0;
    lay_fragment(out, products.out + group * kPanelElements, warp, lane);
    lay_fragment(read, products.read + group * kPanelElements, warp, lane);
    lay_fragment(write, products.write + group * kPanelElements, warp, lane);
    fence_shared();
    sync(1, kThreads);
    if (threadIdx.x == 0) {
      store_bytes(in.products + item * adjoint_parts(K) + own_part<K>(), &products, sizeof(products));
    }
  }
  if (threadIdx.x == 0) wait_stores_read();
}

// A warp brings dO, dr and wᵀ of each chunk and head.
template <class T, int K>
__device__ inline void bring_channel_tokens(const ChannelProductArguments<T, K>& in,
                                            ChannelProductShared<T, K>& shared) {
  const int H = in.sizes.heads, tiles = in.sizes.value_width / kPanel;
  Ring<kTokenSlots> ring;
  Landing landing{&shared.tokens_landed};
  for (int item = blockIdx.x; item < in.sizes.chunks * H; item += gridDim.x) {
    const int head = item % H;
    const Chunk chunk = in.chunk[item / H];
    const T* const residuals = in.residuals + std::int64_t{item} * tiles * kPanelElements;
    for (int tile = 0; tile < tiles; ++tile, ++ring.turn) {
      const int slot = ring.slot();
      auto& tokens = shared.tokens[slot];
      if (ring.is_used()) wait(&shared.tokens_empty[slot], ring.parity() ^ 1);
      bring(&shared.tokens_full[slot], landing, sizeof(tokens), tokens.d_o, 2, chunk.rows,
            [&](std::uint64_t* barrier) {
              copy_panel(tokens.d_o, in.d_o, tile * kPanel, head, chunk.token, barrier);
              copy_panel(tokens.d_r, in.d_r, tile * kPanel, head, chunk.token, barrier);
              copy_bytes(tokens.w, residuals + tile * kPanelElements, sizeof(tokens.w), barrier);
            });
    }
  }
}

// Another X and dX⁺, in slices of value rows.
template <class T, int K>
__device__ inline void bring_channel_states(const ChannelProductArguments<T, K>& in,
                                            ChannelProductShared<T, K>& shared) {
  if (threadIdx.x % 32 != 0) return;
  constexpr int kGroups = ChannelProductShared<T, K>::groups, kSlices = kPanel / kSlice;
  const int H = in.sizes.heads, tiles = in.sizes.value_width / kPanel;
  const int first_group = own_part<K>() * kGroups;
  Ring<kStateSlots> ring;
  for (int item = blockIdx.x; item < in.sizes.chunks * H; item += gridDim.x) {
    const std::int64_t state = std::int64_t{item} * tiles * kChunk * K;
    for (int i = 0; i < tiles * kSlices; ++i, ++ring.turn) {
      const int slot = ring.slot();
      if (ring.is_used()) wait(&shared.states_empty[slot], ring.parity() ^ 1);
      arrive_expecting(&shared.states_full[slot], sizeof(shared.states[slot]));
      for (int group = 0; group < kGroups; ++group) {
        auto& states = shared.states[slot][group];
        const std::int64_t at = state + (i / kSlices * (K / kPanel) + first_group + group) * kPanelElements +
                                i % kSlices * kSlice * kPanel;
        copy_bytes(states.x, in.states + at, sizeof(states.x), &shared.states_full[slot]);
        copy_bytes(states.d_x, in.d_states + at, sizeof(states.d_x), &shared.states_full[slot]);
      }
    }
  }
}

// (groups + 1)·128 threads; as many blocks as there are multiprocessors, or chunks and heads, shared out by
// the parts of the keys, the grid's second dimension.
template <class T, int K>
__global__ __launch_bounds__(3 * kWarpgroup, 1) void channel_products(
    const __grid_constant__ ChannelProductArguments<T, K> in) {
  using Shared = ChannelProductShared<T, K>;
  extern __shared__ unsigned char memory[];
  Shared& shared = shared_memory<Shared>(memory);
  constexpr int kThreads = Shared::groups * kWarpgroup;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kTokenSlots; ++i) {
      init_barrier(&shared.tokens_full[i], 32);
      init_barrier(&shared.tokens_empty[i], kThreads);
    }
    for (int i = 0; i < kStateSlots; ++i) {
      init_barrier(&shared.states_full[i], 1);
      init_barrier(&shared.states_empty[i], kThreads);
    }
    init_barrier(&shared.tokens_landed, 1);
    fence_barrier_init();
  }
  __syncthreads();
  if (threadIdx.x < kThreads) {
    raise_registers<232>();
    make_products(in, shared);
  } else {
    lower_registers<40>();
    const int kind = threadIdx.x % kWarpgroup / 32;
    if (kind == 0) bring_channel_tokens(in, shared);
    if (kind == 1) bring_channel_states(in, shared);
  }
}

}  // namespace mdnlab::scan::cuda
