// The adjoint of the state on its way back through the chunks of a document with channel-wise decay
// (channel_operands.cuh):
//
//     dw = Lᵀ dO + Ψ dX⁺      dr = T⁻ᵀ dw      dX = Q̂ᵀ dO + ā_C∘dX⁺ − Dᵀ dr
//
// and with momentum, a rule's without decay where α is in the tiles,
//
//     dw = Lᵀ dO + write_S∘(Ψ dS⁺) − write_M∘(Ψ dM⁺)      dS = Q̂ᵀ dO + ā_C∘dS⁺ − Dᵀ dr
//     dM = −Q̂ᵀ (out_M∘dO) + ā_C∘(keep_M dM⁺ − cross dS⁺) + Dᵀ (read_M∘dr)
//
// A warpgroup takes 64 value columns of a document and head and holds dXᵀ in registers; a block has one or
// two of them and a last warpgroup that brings tiles. Neither w nor X is needed, so that this runs beside the
// forward scan that makes them. dX⁺ of every chunk is kept for the products over V (channel_products.cuh); dr
// is dV.
#pragma once

#include "scan/cuda/channel_forward.cuh"
#include "scan/cuda/reverse.cuh"

namespace mdnlab::scan::cuda {

template <class T, int K>
struct ChannelReverseArguments {
  CUtensorMap d_o;  // (V,H,tokens), boxes of 64 columns, one head, 64 tokens
  const Chunk* chunk;
  const Document* document;
  Sizes sizes;
  const ChannelOperands<T, K>* operands;  // [chunks·H]
  const Coefficients* coefficients;       // likewise, with momentum
  const float *d_final_S, *d_final_M;     // [N,H,K,V], null: 0
  T* d_states;                            // dX⁺ of every chunk, as the forward scan lays X
  T* d_v;                                 // (tokens,H,V)
  float *d_initial_S, *d_initial_M;       // [N,H,K,V], null: not wanted
};

template <class T, int K, bool has_momentum>
struct ChannelReverseShared {
  static constexpr int most_groups = has_momentum ? 1 : kReverseGroups;
  struct Stage {
    alignas(1024) ChannelOperands<T, K> of;
    alignas(1024) T d_o[most_groups][kPanelElements];
    alignas(16) Coefficients coefficients;
  } stage[kReverseStages];
  alignas(1024) T x[most_groups][(has_momentum ? 2 : 1) * kChunk * K];
  T d_r[most_groups][kPanelElements];
  Chunk chunk[kReverseStages];
  std::uint64_t full[kReverseStages], empty[kReverseStages], landed;
};

template <class T, int K, bool has_momentum>
__device__ inline void hold_channel_adjoints(const ChannelReverseArguments<T, K>& in,
                                             ChannelReverseShared<T, K, has_momentum>& shared,
                                             Document document, int groups) {
  const int thread = threadIdx.x % kWarpgroup, warp = thread / 32, lane = thread % 32,
            group = threadIdx.x / kWarpgroup;
  const int tile = blockIdx.x * groups + group, V = in.sizes.value_width, H = in.sizes.heads;
  const T* const element = nullptr;
  const std::int64_t boundary = (std::int64_t{blockIdx.z} * H + blockIdx.y) * K * V + 64 * tile;
  constexpr int state = sizeof(shared.x[0]) / sizeof(T);
  Half<K> s, m;
  exchange_state<K, true>(s, in.d_final_S ? in.d_final_S + boundary : nullptr, nullptr, V, warp, lane);
  if constexpr (has_momentum)
    exchange_state<K, true>(m, in.d_final_M ? in.d_final_M + boundary : nullptr, nullptr, V, warp, lane);
  for (int i = 0; i < document.chunks; ++i) {
    auto& stage = shared.stage[i % kReverseStages];
    const Coefficients& of = stage.coefficients;
    if (thread == 0) wait_stores_read();
    sync(1 + group, kWarpgroup);  // the adjoint before has left shared memory
    wait(&shared.full[i % kReverseStages], i / kReverseStages & 1);

    // Ψ dX⁺, and dX⁺ itself to memory.
    const std::uint64_t write = operand<Major::k>(shared_address(stage.of.write));
    const std::uint32_t x = shared_address(shared.x[group]);
    float z[32];
    read_half<T, K, true>(s, z, write, x, warp, lane);
    if constexpr (has_momentum) {
      float z_M[32];
      wait_products<0>();
      read_half<T, K, true>(m, z_M, write, x + sizeof(T) * kChunk * K, warp, lane);
      wait_products<0>();
      fence_fragment(z);
      fence_fragment(z_M);
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        const float2 write_S = pair_of(of.write_S, n, lane), write_M = pair_of(of.write_M, n, lane);
#pragma unroll
        for (int j = 4 * n; j < 4 * n + 4; j += 2) {
          z[j] = write_S.x * z[j] - write_M.x * z_M[j];
          z[j + 1] = write_S.y * z[j + 1] - write_M.y * z_M[j + 1];
        }
      }
      fence_fragment(z);
    }
    if constexpr (!has_momentum && has_short_range<T>) {
      wait_products<0>();
      fence_fragment(z);
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        const float2 row = pair_of(stage.of.write_rows, n, lane);
#pragma unroll
        for (int j = 4 * n; j < 4 * n + 4; j += 2) z[j] *= row.x, z[j + 1] *= row.y;
      }
    }
    fence_shared();
    sync(1 + group, kWarpgroup);
    if (thread == 0) {
      const std::int64_t index = in.sizes.entry(document.first_chunk + document.chunks - 1 - i, blockIdx.y);
      store_bytes(in.d_states + (index * (V / 64) + tile) * state, shared.x[group], sizeof(shared.x[group]));
    }

    // dw = Lᵀ dO + Ψ dX⁺, dr = T⁻ᵀ dw: all transposed.
    std::uint32_t d_o[16], a[16];
    for_each_transposed(shared_address(stage.d_o[group]), warp, lane,
                        [&](int n, std::uint32_t low, std::uint32_t high) {
                          d_o[2 * n] = low;
                          d_o[2 * n + 1] = high;
                        });
    const std::uint64_t scores = operand<Major::mn>(shared_address(stage.of.scores)),
                        inverse = operand<Major::mn>(shared_address(stage.of.inverse));
    begin_products();
#pragma unroll
    for (int j = 0; j < 4; ++j)
      product<Major::mn>(z, element, &d_o[4 * j], scores + step<Major::mn>(j), true);
    commit_products();
    wait_products<0>();
    fence_fragment(z);
    pack_fragment<T>(z, a);
    fence_fragment(z);
    begin_products();
#pragma unroll
    for (int j = 0; j < 4; ++j) product<Major::mn>(z, element, &a[4 * j], inverse + step<Major::mn>(j), true);
    commit_products();

    // dX = ā_C∘dX⁺ + Q̂ᵀ dO while dr is made, then − Dᵀ dr.
    const std::uint64_t out = operand<Major::mn>(shared_address(stage.of.out)),
                        read = operand<Major::mn>(shared_address(stage.of.read));
    const Scale of_read = stage.of.of_read(),
                rows_M = has_momentum ? scale_of_rows<T>(lane, of.out_M, of.read_M) : Scale{},
                scale_M = of_read * rows_M;
    if constexpr (has_momentum) {
      const float cross = of.cross, keep_M = of.keep_M;
#pragma unroll
      for (int j = 0; j < K / 2; ++j) m[j] = keep_M * m[j] - cross * s[j];
      decay<K>(m, stage.of.keep, scale_M, lane);
    }
    decay<K>(s, stage.of.keep, of_read, lane);
    write_half<T, K>(s, d_o, out);
    if constexpr (has_momentum) {
      std::uint32_t out_M[16];
      scale_columns<T>(out_M, of.out_M, -rows_M.up, lane, [&](int j) {
        return j % 2 == 0 ? Element<T>::low(d_o[j / 2]) : Element<T>::high(d_o[j / 2]);
      });
      write_half<T, K>(m, out_M, out);
    }
    wait_products<has_momentum ? 2 : 1>();
    fence_fragment(z);
    const Chunk chunk = shared.chunk[i % kReverseStages];
    store_tokens(z, shared.d_r[group], in.d_v + (std::int64_t{chunk.token} * H + blockIdx.y) * V + 64 * tile,
                 std::int64_t{H} * V, chunk.rows, warp, lane);
#pragma unroll
    for (int j = 0; j < 16; ++j) a[j] = Element<T>::pack(-z[2 * j], -z[2 * j + 1]);
    write_half<T, K>(s, a, read);
    if constexpr (has_momentum) {
      std::uint32_t read_M[16];
      scale_columns<T>(read_M, of.read_M, rows_M.up, lane, [&](int j) { return z[j]; });
      write_half<T, K>(m, read_M, read);
    }
    wait_products<0>();
    fence_fragment(s);
    if constexpr (has_momentum) fence_fragment(m);
    scale_down<T>(s, of_read);
    if constexpr (has_momentum) scale_down<T>(m, scale_M);
    arrive(&shared.empty[i % kReverseStages]);
  }
  if (in.d_initial_S) exchange_state<K, false>(s, nullptr, in.d_initial_S + boundary, V, warp, lane);
  if constexpr (has_momentum) {
    if (in.d_initial_M) exchange_state<K, false>(m, nullptr, in.d_initial_M + boundary, V, warp, lane);
  }
  if (thread == 0) wait_stores_read();
}

template <class T, int K, bool has_momentum>
__device__ inline void bring_channel_reverse(const ChannelReverseArguments<T, K>& in,
                                             ChannelReverseShared<T, K, has_momentum>& shared,
                                             Document document, int groups) {
  Landing landing{&shared.landed};
  for (int i = 0; i < document.chunks; ++i) {
    const int c = document.first_chunk + document.chunks - 1 - i, slot = i % kReverseStages;
    const Chunk chunk = in.chunk[c];
    auto& stage = shared.stage[slot];
    if (i >= kReverseStages) wait(&shared.empty[slot], (i / kReverseStages - 1) & 1);
    if (threadIdx.x % 32 == 0) shared.chunk[slot] = chunk;
    const std::int64_t index = in.sizes.entry(c, blockIdx.y);
    const int bytes =
        sizeof(stage.of) + groups * sizeof(stage.d_o[0]) + (has_momentum ? sizeof(Coefficients) : 0);
    bring(&shared.full[slot], landing, bytes, stage.d_o, groups, chunk.rows, [&](std::uint64_t* barrier) {
      copy_bytes(&stage.of, in.operands + index, sizeof(stage.of), barrier);
      if constexpr (has_momentum)
        copy_bytes(&stage.coefficients, in.coefficients + index, sizeof(Coefficients), barrier);
      for (int group = 0; group < groups; ++group) {
        copy_panel(stage.d_o[group], in.d_o, 64 * (blockIdx.x * groups + group), blockIdx.y, chunk.token,
                   barrier);
      }
    });
  }
}

// Grid (V/64/groups, H, N); (groups + 1)·128 threads, groups 1 or, without momentum, 2.
template <class T, int K, bool has_momentum>
__global__ __launch_bounds__((kReverseGroups + 1) * kWarpgroup, 1) void channel_reverse(
    const __grid_constant__ ChannelReverseArguments<T, K> in) {
  using Shared = ChannelReverseShared<T, K, has_momentum>;
  extern __shared__ unsigned char memory[];
  Shared& shared = shared_memory<Shared>(memory);
  const int groups = blockDim.x / kWarpgroup - 1;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kReverseStages; ++i) {
      init_barrier(&shared.full[i], 32);
      init_barrier(&shared.empty[i], groups * kWarpgroup);
    }
    init_barrier(&shared.landed, 1);
    fence_barrier_init();
  }
  __syncthreads();
  const Document document = in.document[blockIdx.z];
  if (threadIdx.x / kWarpgroup < groups) {
    raise_registers<kReverseRegisters>();
    hold_channel_adjoints(in, shared, document, groups);
  } else {
    lower_registers<24>();
    if (threadIdx.x % kWarpgroup < 32) bring_channel_reverse(in, shared, document, groups);
  }
}

}  // namespace mdnlab::scan::cuda
