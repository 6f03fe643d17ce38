// The adjoint of the state on its way back through the chunks of a document with channel-wise decay
// (channel_operands.cuh):
//
//     dw = Lᵀ dO + Ψ dX⁺      dr = T⁻ᵀ dw      dX = Q̂ᵀ dO + ā_C∘dX⁺ − Dᵀ dr
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
  const ChannelOperands<T, K>* operands;  // [H·chunks]
  const float* d_final_S;                 // [N,H,K,V], null: 0
  T* d_states;                            // dX⁺ of every chunk, as the forward scan lays X
  T* d_v;                                 // (tokens,H,V)
  float* d_initial_S;                     // [N,H,K,V], null: not wanted
};

template <class T, int K>
struct ChannelReverseShared {
  struct Stage {
    alignas(1024) ChannelOperands<T, K> of;
    alignas(1024) T d_o[kReverseGroups][kPanelElements];
  } stage[kReverseStages];
  alignas(1024) T x[kReverseGroups][kChunk * K];
  T d_r[kReverseGroups][kPanelElements];
  Chunk chunk[kReverseStages];
  std::uint64_t full[kReverseStages], empty[kReverseStages], repair;
};

template <class T, int K>
__device__ inline void hold_channel_adjoints(const ChannelReverseArguments<T, K>& in,
                                             ChannelReverseShared<T, K>& shared, Document document,
                                             int groups) {
  const int thread = threadIdx.x % kWarpgroup, warp = thread / 32, lane = thread % 32,
            group = threadIdx.x / kWarpgroup;
  const int tile = blockIdx.x * groups + group, V = in.sizes.value_width, H = in.sizes.heads;
  const T* const element = nullptr;
  const std::int64_t boundary = (std::int64_t{blockIdx.z} * H + blockIdx.y) * K * V + 64 * tile;
  Half<K> s;
  exchange_state<K, true>(s, in.d_final_S ? in.d_final_S + boundary : nullptr, nullptr, V, warp, lane);
  for (int i = 0; i < document.chunks; ++i) {
    auto& stage = shared.stage[i % kReverseStages];
    if (thread == 0) wait_stores_read();
    sync(1 + group, kWarpgroup);  // the adjoint before has left shared memory
    wait(&shared.full[i % kReverseStages], i / kReverseStages & 1);

    // Ψ dX⁺, and dX⁺ itself to memory.
    float z[32];
    read_half<T, K, true>(s, z, operand<Major::k>(shared_address(stage.of.write)),
                          shared_address(shared.x[group]), warp, lane);
    fence_shared();
    sync(1 + group, kWarpgroup);
    if (thread == 0) {
      const std::int64_t index =
          std::int64_t{blockIdx.y} * in.sizes.chunks + document.first_chunk + document.chunks - 1 - i;
      store_bytes(in.d_states + (index * (V / 64) + tile) * kChunk * K, shared.x[group],
                  sizeof(shared.x[group]));
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
    decay<K>(s, stage.of.keep, lane);
    write_half<T, K>(s, d_o, operand<Major::mn>(shared_address(stage.of.out)));
    wait_products<1>();
    fence_fragment(z);
    const Chunk chunk = shared.chunk[i % kReverseStages];
    store_tokens(z, shared.d_r[group], in.d_v + (std::int64_t{chunk.token} * H + blockIdx.y) * V + 64 * tile,
                 std::int64_t{H} * V, chunk.rows, warp, lane);
#pragma unroll
    for (int j = 0; j < 16; ++j) a[j] = Element<T>::pack(-z[2 * j], -z[2 * j + 1]);
    write_half<T, K>(s, a, operand<Major::mn>(shared_address(stage.of.read)));
    wait_products<0>();
    fence_fragment(s);
    arrive(&shared.empty[i % kReverseStages]);
  }
  if (in.d_initial_S) exchange_state<K, false>(s, nullptr, in.d_initial_S + boundary, V, warp, lane);
  if (thread == 0) wait_stores_read();
}

template <class T, int K>
__device__ inline void bring_channel_reverse(const ChannelReverseArguments<T, K>& in,
                                             ChannelReverseShared<T, K>& shared, Document document,
                                             int groups) {
  Repair repair{&shared.repair};
  for (int i = 0; i < document.chunks; ++i) {
    const int c = document.first_chunk + document.chunks - 1 - i, slot = i % kReverseStages;
    const Chunk chunk = in.chunk[c];
    auto& stage = shared.stage[slot];
    if (i >= kReverseStages) wait(&shared.empty[slot], (i / kReverseStages - 1) & 1);
    if (threadIdx.x % 32 == 0) shared.chunk[slot] = chunk;
    bring(&shared.full[slot], repair, sizeof(stage.of) + groups * sizeof(stage.d_o[0]), stage.d_o, groups,
          chunk.rows, [&](std::uint64_t* barrier) {
            copy_bytes(&stage.of, in.operands + std::int64_t{blockIdx.y} * in.sizes.chunks + c,
                       sizeof(stage.of), barrier);
            for (int group = 0; group < groups; ++group) {
              copy_panel(stage.d_o[group], in.d_o, 64 * (blockIdx.x * groups + group), blockIdx.y,
                         chunk.token, barrier);
            }
          });
  }
}

// Grid (V/64/groups, H, N); (groups + 1)·128 threads, groups 1 or 2.
template <class T, int K>
__global__ __launch_bounds__((kReverseGroups + 1) * kWarpgroup, 1) void channel_reverse(
    const __grid_constant__ ChannelReverseArguments<T, K> in) {
  using Shared = ChannelReverseShared<T, K>;
  extern __shared__ unsigned char memory[];
  Shared& shared = shared_memory<Shared>(memory);
  const int groups = blockDim.x / kWarpgroup - 1;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kReverseStages; ++i) {
      init_barrier(&shared.full[i], 1);
      init_barrier(&shared.empty[i], groups * kWarpgroup);
    }
    init_barrier(&shared.repair, 1);
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
