// The state's way through the chunks of a document with channel-wise decay (channel_operands.cuh): a block of
// 384 threads takes one document, head and 64 value columns.
//
//   warpgroup 0 holds Xᵀ (64×K float32) in registers: w = T⁻¹(V − DX), X ← ā_C∘X + Ψᵀw. It lays X and w,
//   rounded,
//               into shared memory for the other.
//   warpgroup 1 makes what leaves the kernel, a step behind: o = Q̂X + Lw, or, for the backward pass, X and w.
//   warpgroup 2 brings tiles, one of its warps with the copy engine.
#pragma once

#include "scan/cuda/channel_operands.cuh"
#include "scan/cuda/forward.cuh"
#include "scan/cuda/tail.cuh"

namespace mdnlab::scan::cuda {

template <class T, int K>
struct ChannelForwardArguments {
  CUtensorMap v;             // (V,H,tokens), boxes of 64 columns, one head, 64 tokens
  const Chunk* chunk;        // [chunks]
  const Document* document;  // [N]
  Sizes sizes;
  const ChannelOperands<T, K>* operands;  // [H·chunks]
  const float* initial_S;                 // [N,H,K,V], null: 0
  float* final_S;                         // likewise, null: not wanted
  T* o;                                   // (tokens,H,V), Result::outputs
  T* states;     // [H·chunks][V/64] of K/64 panels of 64 value rows × 64 key columns; Result::states;
                 // null: not wanted, only the final states are
  T* residuals;  // [H·chunks][V/64] panels of 64 value rows × 64 tokens: wᵀ
};

template <class T, int K>
struct ChannelForwardShared {
  struct Stage {
    alignas(1024) ChannelOperands<T, K> of;
    alignas(1024) T v[kPanelElements];
  } stage[kStages];
  alignas(1024) T x[2][kChunk * K];
  T w[2][kPanelElements];
  T o[kPanelElements];
  std::uint64_t full[kStages], empty[kStages], repair;
  std::uint64_t x_full[2], w_full[2], x_empty[2];
};

// X ← ā_C∘X.
template <int K>
__device__ inline void decay(Half<K>& x, const float (&keep)[K], int lane) {
#pragma unroll
  for (int n = 0; n < K / 8; ++n) {
    const float2 factor = *reinterpret_cast<const float2*>(&keep[8 * n + 2 * (lane % 4)]);
#pragma unroll
    for (int i = 4 * n; i < 4 * n + 4; i += 2) x[i] *= factor.x, x[i + 1] *= factor.y;
  }
}

template <class T, int K>
__device__ inline void hold_channel_state(const ChannelForwardArguments<T, K>& in,
                                          ChannelForwardShared<T, K>& shared, Document document) {
  const int thread = threadIdx.x % kWarpgroup, warp = thread / 32, lane = thread % 32,
            V = in.sizes.value_width;
  const T* const element = nullptr;
  const std::int64_t boundary =
      (std::int64_t{blockIdx.z} * in.sizes.heads + blockIdx.y) * K * V + 64 * blockIdx.x;
  Half<K> s;
  exchange_state<K, true>(s, in.initial_S ? in.initial_S + boundary : nullptr, nullptr, V, warp, lane);
  for (int c = 0; c < document.chunks; ++c) {
    auto& stage = shared.stage[c % kStages];
    wait(&shared.full[c % kStages], c / kStages & 1);
    if (c >= 2) wait(&shared.x_empty[c % 2], (c / 2 - 1) & 1);

    // V − DX, transposed.
    float z[32];
    read_half<T, K, true>(s, z, operand<Major::k>(shared_address(stage.of.read)),
                          shared_address(shared.x[c % 2]), warp, lane);
    fence_shared();
    arrive(&shared.x_full[c % 2]);
    wait_products<0>();
    fence_fragment(z);
    subtract_from_transposed<T>(z, shared_address(stage.v), warp, lane);

    // w, and under its product the decay of the state.
    std::uint32_t a[16];
    pack_fragment<T>(z, a);
    const std::uint64_t inverse = operand<Major::k>(shared_address(stage.of.inverse));
    fence_fragment(z);
    begin_products();
#pragma unroll
    for (int i = 0; i < 4; ++i) product<Major::k>(z, element, &a[4 * i], inverse + step<Major::k>(i), true);
    commit_products();
    decay<K>(s, stage.of.keep, lane);
    fence_fragment(s);
    wait_products<0>();
    fence_fragment(z);
    pack_fragment<T>(z, a);
    const std::uint32_t w = shared_address(shared.w[c % 2]);
    lay_operand(a, w, warp, lane);
    fence_shared();
    arrive(&shared.w_full[c % 2]);
    write_half<T, K>(s, a, operand<Major::mn>(shared_address(stage.of.write)));
    wait_products<0>();
    fence_fragment(s);
    arrive(&shared.empty[c % kStages]);
  }
  if (in.final_S) exchange_state<K, false>(s, nullptr, in.final_S + boundary, V, warp, lane);
}

template <class T, int K>
__device__ inline void make_channel_outputs(const ChannelForwardArguments<T, K>& in,
                                            ChannelForwardShared<T, K>& shared, Document document) {
  const int thread = threadIdx.x % kWarpgroup, warp = thread / 32, lane = thread % 32;
  const T* const element = nullptr;
  for (int c = 0; c < document.chunks; ++c) {
    auto& stage = shared.stage[c % kStages];
    const Chunk chunk = in.chunk[document.first_chunk + c];
    wait(&shared.full[c % kStages], c / kStages & 1);
    // Q̂ and L in registers: two operands in shared memory would take all of its bandwidth from warpgroup 0.
    std::uint32_t query[K / 4], score[16];
    load_operand<K / 16>(query, shared_address(stage.of.out), warp, lane);
    load_operand<4>(score, shared_address(stage.of.scores), warp, lane);
    wait(&shared.x_full[c % 2], c / 2 & 1);
    float o[32];
    const std::uint64_t x = operand<Major::k>(shared_address(shared.x[c % 2])),
                        w = operand<Major::k>(shared_address(shared.w[c % 2]));
    fence_fragment(o);
    begin_products();
#pragma unroll
    for (int i = 0; i < K / 16; ++i)
      product<Major::k>(o, element, &query[4 * i], x + step<Major::k>(i), i > 0);
    commit_products();
    wait(&shared.w_full[c % 2], c / 2 & 1);
    begin_products();
#pragma unroll
    for (int i = 0; i < 4; ++i) product<Major::k>(o, element, &score[4 * i], w + step<Major::k>(i), true);
    commit_products();
    wait_products<0>();
    fence_fragment(o);
    arrive(&shared.x_empty[c % 2]);
    arrive(&shared.empty[c % kStages]);

    sync(1, kWarpgroup);  // everyone has stored the tile before
    lay_fragment(o, shared.o, warp, lane);
    sync(1, kWarpgroup);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = i * 16 + thread / 8, piece = thread % 8;
      if (row >= chunk.rows) continue;
      const std::int64_t at =
          (std::int64_t{chunk.token + row} * in.sizes.heads + blockIdx.y) * in.sizes.value_width +
          64 * blockIdx.x;
      *reinterpret_cast<uint4*>(in.o + at + 8 * piece) =
          reinterpret_cast<const uint4*>(shared.o)[row * 8 + (piece ^ (row & 7))];
    }
  }
}

template <class T, int K>
__device__ inline void store_channel_states(const ChannelForwardArguments<T, K>& in,
                                            ChannelForwardShared<T, K>& shared, Document document) {
  if (threadIdx.x % kWarpgroup != 0) return;
  for (int c = 0; c < document.chunks; ++c) {
    const std::int64_t tile =
        (std::int64_t{blockIdx.y} * in.sizes.chunks + document.first_chunk + c) * gridDim.x + blockIdx.x;
    wait(&shared.x_full[c % 2], c / 2 & 1);
    if (in.states) store_bytes(in.states + tile * kChunk * K, shared.x[c % 2], sizeof(shared.x[0]));
    wait(&shared.w_full[c % 2], c / 2 & 1);
    if (in.states) store_bytes(in.residuals + tile * kPanelElements, shared.w[c % 2], sizeof(shared.w[0]));
    wait_stores_read();
    arrive(&shared.x_empty[c % 2]);
  }
}

template <class T, int K>
__device__ inline void bring_channel_tiles(const ChannelForwardArguments<T, K>& in,
                                           ChannelForwardShared<T, K>& shared, Document document) {
  if (threadIdx.x % kWarpgroup >= 32) return;
  Repair repair{&shared.repair};
  for (int c = 0; c < document.chunks; ++c) {
    auto& stage = shared.stage[c % kStages];
    const Chunk chunk = in.chunk[document.first_chunk + c];
    const auto* const operands =
        in.operands + std::int64_t{blockIdx.y} * in.sizes.chunks + document.first_chunk + c;
    if (c >= kStages) wait(&shared.empty[c % kStages], (c / kStages - 1) & 1);
    bring(&shared.full[c % kStages], repair, sizeof(stage.of) + sizeof(stage.v), stage.v, 1, chunk.rows,
          [&](std::uint64_t* barrier) {
            copy_bytes(&stage.of, operands, sizeof(stage.of), barrier);
            copy_panel(stage.v, in.v, 64 * blockIdx.x, blockIdx.y, chunk.token, barrier);
          });
  }
}

// Grid (V/64, H, N).
template <class T, int K, Result result>
__global__ __launch_bounds__(3 * kWarpgroup, 1) void channel_forward(
    const __grid_constant__ ChannelForwardArguments<T, K> in) {
  using Shared = ChannelForwardShared<T, K>;
  extern __shared__ unsigned char memory[];
  Shared& shared = shared_memory<Shared>(memory);
  if (threadIdx.x == 0) {
    constexpr bool outputs = result == Result::outputs;
    for (int i = 0; i < kStages; ++i) {
      init_barrier(&shared.full[i], 1);
      init_barrier(&shared.empty[i], outputs ? 2 * kWarpgroup : kWarpgroup);
    }
    init_barrier(&shared.repair, 1);
    for (int i = 0; i < 2; ++i) {
      init_barrier(&shared.x_full[i], kWarpgroup);
      init_barrier(&shared.w_full[i], kWarpgroup);
      init_barrier(&shared.x_empty[i], outputs ? kWarpgroup : 1);
    }
    fence_barrier_init();
  }
  __syncthreads();
  const Document document = in.document[blockIdx.z];
  if (threadIdx.x < kWarpgroup) {
    raise_registers<kHolderRegisters>();
    hold_channel_state(in, shared, document);
  } else if (threadIdx.x < 2 * kWarpgroup) {
    lower_registers<kMakerRegisters>();
    if constexpr (result == Result::outputs) {
      make_channel_outputs(in, shared, document);
    } else {
      store_channel_states(in, shared, document);
    }
  } else {
    lower_registers<kBringerRegisters>();
    bring_channel_tiles(in, shared, document);
  }
}

}  // namespace mdnlab::scan::cuda
