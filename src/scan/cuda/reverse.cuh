// The adjoint of the state on its way back through the chunks of a document (recurrences.md, section 3):
//
//     dw = Lᵀ dO + Ψ dX⁺      dr = T⁻ᵀ dw      dX = Q̂ᵀ dO + Φᵀ dX⁺ − Dᵀ dr
//
// A warpgroup takes 64 value columns of a document and head and holds dXᵀ = [dSᵀ; dMᵀ] in registers; a block
// has one or two of them and a last warpgroup that brings tiles. Neither w nor X is needed, so that this runs
// beside the forward scan that makes them. dX⁺ of every chunk is kept for the products over V (adjoints.cuh);
// dr is dV.
#pragma once

#include "scan/cuda/chunk.h"
#include "scan/cuda/sm90.cuh"
#include "scan/cuda/state.cuh"
#include "scan/cuda/tail.cuh"

namespace mdnlab::scan::cuda {

template <class T>
struct ReverseArguments {
  CUtensorMap q, k, d_o;  // (width, heads, tokens), boxes of 64 columns, one head, 64 tokens
  const Chunk* chunk;
  const Document* document;
  Sizes sizes;
  const Coefficients* coefficients;  // what `prepare` left
  const T *inverse, *scores;
  const float *d_final_S, *d_final_M;  // [N,H,K,V], null: 0
  T* d_states;                         // dX⁺ of every chunk, as the forward scan lays X
  T* d_v;                              // (tokens,H,V)
  float *d_initial_S, *d_initial_M;    // [N,H,K,V], null: not wanted
};

template <class T>
ReverseArguments<T> reverse_arguments(const ChunkScan& scan) {
  return {scan.q,
          scan.k,
          scan.d_o,
          scan.chunk,
          scan.document,
          scan.sizes,
          scan.coefficients,
          static_cast<const T*>(scan.inverse),
          static_cast<const T*>(scan.scores),
          scan.d_final_S,
          scan.d_final_M,
          static_cast<T*>(scan.d_states),
          static_cast<T*>(scan.d_v),
          scan.d_initial_S,
          scan.d_initial_M};
}

constexpr int kReverseStages = 2, kReverseGroups = 2;
constexpr int kReverseRegisters = 240;

template <class T, int K, bool has_delta, bool has_momentum>
struct ReverseShared {
  static constexpr int state = (has_momentum ? 2 : 1) * 64 * K;
  struct Stage {
    alignas(1024) T q[kChunk * K];
    T k[kChunk * K];
    T d_o[kReverseGroups][kPanelElements];
    T scores[kPanelElements];
    T inverse[has_delta ? kPanelElements : 512];
  } stage[kReverseStages];
  alignas(1024) T x[kReverseGroups][state];
  alignas(1024) T d_r[kReverseGroups][kPanelElements];
  alignas(16) Coefficients coefficients[kReverseStages];
  Chunk chunk[kReverseStages];
  std::uint64_t full[kReverseStages], empty[kReverseStages], landed;
};

template <class T, int K, bool has_delta, bool has_momentum, class Shared>
__device__ inline void hold_adjoints(const ReverseArguments<T>& in, Shared& shared, Document document,
                                     int groups) {
  const int thread = threadIdx.x % kWarpgroup, warp = thread / 32, lane = thread % 32,
            group = threadIdx.x / kWarpgroup;
  const int tile = blockIdx.x * groups + group, V = in.sizes.value_width, H = in.sizes.heads;
  const T* const element = nullptr;
  const auto boundary = [&] { return (std::int64_t{blockIdx.z} * H + blockIdx.y) * K * V + 64 * tile; };
  Half<K> s, m;
  exchange_state<K, true>(s, in.d_final_S ? in.d_final_S + boundary() : nullptr, nullptr, V, warp, lane);
  if constexpr (has_momentum) {
    exchange_state<K, true>(m, in.d_final_M ? in.d_final_M + boundary() : nullptr, nullptr, V, warp, lane);
  }
  for (int i = 0; i < document.chunks; ++i) {
    auto& stage = shared.stage[i % kReverseStages];
    const Coefficients& of = shared.coefficients[i % kReverseStages];
    if (thread == 0) wait_stores_read();
    sync(1 + group, kWarpgroup);  // the adjoint before has left shared memory
    wait(&shared.full[i % kReverseStages], i / kReverseStages & 1);

    // Ψ dX⁺, and dX⁺ itself to memory.
    const std::uint32_t k_address = shared_address(stage.k), x = shared_address(shared.x[group]);
    float z[32];
    read_half<T, K, true>(s, z, operand<Major::k>(k_address), x, warp, lane);
    if constexpr (has_momentum) {
      float z_M[32];
      wait_products<0>();
      read_half<T, K, true>(m, z_M, operand<Major::k>(k_address), x + sizeof(T) * kChunk * K, warp, lane);
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
    } else {
      wait_products<0>();
      fence_fragment(z);
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        const float2 write_S = pair_of(of.write_S, n, lane);
#pragma unroll
        for (int j = 4 * n; j < 4 * n + 4; j += 2) z[j] *= write_S.x, z[j + 1] *= write_S.y;
      }
    }
    fence_shared();
    sync(1 + group, kWarpgroup);
    if (thread == 0) {
      const std::int64_t index = in.sizes.entry(document.first_chunk + document.chunks - 1 - i, blockIdx.y);
      store_bytes(in.d_states + (index * (V / 64) + tile) * Shared::state, shared.x[group],
                  sizeof(T) * Shared::state);
    }

    // dw = Lᵀ dO + Ψ dX⁺, dr = T⁻ᵀ dw: all transposed.
    std::uint32_t d_o[16];
    for_each_transposed(shared_address(stage.d_o[group]), warp, lane,
                        [&](int n, std::uint32_t low, std::uint32_t high) {
                          d_o[2 * n] = low;
                          d_o[2 * n + 1] = high;
                        });
    const std::uint64_t scores = operand<Major::mn>(shared_address(stage.scores));
    fence_fragment(z);
    begin_products();
#pragma unroll
    for (int j = 0; j < 4; ++j)
      product<Major::mn>(z, element, &d_o[4 * j], scores + step<Major::mn>(j), true);
    commit_products();
    wait_products<0>();
    fence_fragment(z);
    if constexpr (has_delta) {
      std::uint32_t d_w[16];
      pack_fragment<T>(z, d_w);
      const std::uint64_t inverse = operand<Major::mn>(shared_address(stage.inverse));
      fence_fragment(z);
      begin_products();
#pragma unroll
      for (int j = 0; j < 4; ++j)
        product<Major::mn>(z, element, &d_w[4 * j], inverse + step<Major::mn>(j), true);
      commit_products();
    }

    // dX = Φᵀ dX⁺ + Q̂ᵀ dO while dr is made, then − Dᵀ dr.
    const Scale scale_S = scale_of_rows<T>(lane, of.out_S, of.read_S),
                scale_M = has_momentum ? scale_of_rows<T>(lane, of.out_M, of.read_M) : Scale{};
    decay_adjoint<has_momentum>(s, m, of, scale_S, scale_M);
    const auto of_d_o = [&](int j) {
      return j % 2 == 0 ? Element<T>::low(d_o[j / 2]) : Element<T>::high(d_o[j / 2]);
    };
    const std::uint64_t q = operand<Major::mn>(shared_address(stage.q)), k = operand<Major::mn>(k_address);
    std::uint32_t out_S[16], out_M[16];
    scale_columns<T>(out_S, of.out_S, scale_S.up, lane, of_d_o);
    write_half<T, K>(s, out_S, q);
    if constexpr (has_momentum) {
      scale_columns<T>(out_M, of.out_M, -scale_M.up, lane, of_d_o);
      write_half<T, K>(m, out_M, q);
    }
    if constexpr (has_delta) {
      wait_products<has_momentum ? 2 : 1>();
      fence_fragment(z);
    }
    const Chunk chunk = shared.chunk[i % kReverseStages];
    store_tokens(z, shared.d_r[group], in.d_v + (std::int64_t{chunk.token} * H + blockIdx.y) * V + 64 * tile,
                 std::int64_t{H} * V, chunk.rows, warp, lane);
    if constexpr (has_delta) {
      std::uint32_t read_S[16], read_M[16];
      const auto of_d_r = [&](int j) { return z[j]; };
      scale_columns<T>(read_S, of.read_S, -scale_S.up, lane, of_d_r);
      write_half<T, K>(s, read_S, k);
      if constexpr (has_momentum) {
        scale_columns<T>(read_M, of.read_M, scale_M.up, lane, of_d_r);
        write_half<T, K>(m, read_M, k);
      }
    }
    wait_products<0>();
    fence_fragment(s);
    if constexpr (has_momentum) fence_fragment(m);
    scale_down<T>(s, scale_S);
    if constexpr (has_momentum) scale_down<T>(m, scale_M);
    arrive(&shared.empty[i % kReverseStages]);
  }
  if (in.d_initial_S) exchange_state<K, false>(s, nullptr, in.d_initial_S + boundary(), V, warp, lane);
  if constexpr (has_momentum) {
    if (in.d_initial_M) exchange_state<K, false>(m, nullptr, in.d_initial_M + boundary(), V, warp, lane);
  }
  if (thread == 0) wait_stores_read();
}

template <class T, int K, bool has_delta, class Shared>
__device__ inline void bring_reverse(const ReverseArguments<T>& in, Shared& shared, Document document,
                                     int groups) {
  const int head = blockIdx.y, key_head = head / (in.sizes.heads / in.sizes.key_heads);
  Landing landing{&shared.landed};
  for (int i = 0; i < document.chunks; ++i) {
    const int c = document.first_chunk + document.chunks - 1 - i;
    const Chunk chunk = in.chunk[c];
    const std::int64_t index = in.sizes.entry(c, head);
    const int s = i % kReverseStages;
    auto& stage = shared.stage[s];
    if (i >= kReverseStages) wait(&shared.empty[s], (i / kReverseStages - 1) & 1);
    if (threadIdx.x % 32 == 0) shared.chunk[s] = chunk;
    const int bytes =
        sizeof(T) * (2 * kChunk * K + kPanelElements * (groups + 1 + has_delta)) + sizeof(Coefficients);
    bring(&shared.full[s], landing, bytes, stage.q, 2 * K / kPanel + groups, chunk.rows,
          [&](std::uint64_t* barrier) {
            for (int panel = 0; panel < K / kPanel; ++panel) {
              copy_panel(stage.k + panel * kPanelElements, in.k, panel * kPanel, key_head, chunk.token,
                         barrier);
            }
            copy_bytes(&shared.coefficients[s], in.coefficients + index, sizeof(Coefficients), barrier);
            for (int group = 0; group < groups; ++group) {
              copy_panel(stage.d_o[group], in.d_o, 64 * (blockIdx.x * groups + group), head, chunk.token,
                         barrier);
            }
            copy_bytes(stage.scores, in.scores + index * kPanelElements, sizeof(T) * kPanelElements, barrier);
            if constexpr (has_delta) {
              copy_bytes(stage.inverse, in.inverse + index * kPanelElements, sizeof(T) * kPanelElements,
                         barrier);
            }
            for (int panel = 0; panel < K / kPanel; ++panel) {
              copy_panel(stage.q + panel * kPanelElements, in.q, panel * kPanel, key_head, chunk.token,
                         barrier);
            }
          });
  }
}

// Grid (V/64/groups, H, N); (groups + 1)·128 threads, groups 1 or 2.
template <class T, int K, bool has_delta, bool has_momentum>
__global__ __launch_bounds__((kReverseGroups + 1) * kWarpgroup,
                             1) void reverse(const __grid_constant__ ReverseArguments<T> in) {
  using Shared = ReverseShared<T, K, has_delta, has_momentum>;
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
    hold_adjoints<T, K, has_delta, has_momentum>(in, shared, document, groups);
  } else {
    lower_registers<24>();
    if (threadIdx.x % kWarpgroup < 32) bring_reverse<T, K, has_delta>(in, shared, document, groups);
  }
}

}  // namespace mdnlab::scan::cuda
