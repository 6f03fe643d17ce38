// The state's way through the chunks of a document (recurrences.md, section 2): a block of 384 threads takes
// one document, head and 64 value columns.
//
//   warpgroup 0 holds Xᵀ = [Sᵀ; Mᵀ] (64×2K float32) in registers and is the only one on the critical path:
//               w = T⁻¹(V − DX), X ← ΦX + Ψᵀw. It lays X and w, rounded, into shared memory for the other.
//   warpgroup 1 makes what leaves the kernel, a step behind: o = Q̂X + Lw, or, for the backward pass, X and w.
//   warpgroup 2 brings tiles: two of its warps v, another the rest.
#pragma once

#include "scan/cuda/chunk.h"
#include "scan/cuda/sm90.cuh"
#include "scan/cuda/state.cuh"
#include "scan/cuda/tail.cuh"

namespace mdnlab::scan::cuda {

enum class Result { outputs, states };

template <class T>
struct ForwardArguments {
  CUtensorMap q, k, v;       // (width, heads, tokens), boxes of 64 columns, one head, 64 tokens
  const Chunk* chunk;        // [chunks]
  const Document* document;  // [N]
  Sizes sizes;
  const Coefficients* coefficients;  // what `prepare` left
  const T* inverse;
  const T* scores;
  const float *initial_S, *initial_M;  // [N,H,K,V], null: 0
  float *final_S, *final_M;            // [N,H,K,V], null: not wanted
  T* o;                                // (tokens,H,V), Result::outputs
  T* states;     // [chunks·H][V/64] of S then M, each K/64 panels of 64 value rows × 64 key columns
                 // null: not wanted, only the final states are
  T* residuals;  // [chunks·H][V/64] panels of 64 value rows × 64 tokens: wᵀ; Result::states with delta
};

template <class T>
ForwardArguments<T> forward_arguments(const ChunkScan& scan) {
  return {scan.q,
          scan.k,
          scan.v,
          scan.chunk,
          scan.document,
          scan.sizes,
          scan.coefficients,
          static_cast<const T*>(scan.inverse),
          static_cast<const T*>(scan.scores),
          scan.initial_S,
          scan.initial_M,
          scan.final_S,
          scan.final_M,
          static_cast<T*>(scan.o),
          static_cast<T*>(scan.states),
          static_cast<T*>(scan.residuals)};
}

constexpr int kStages = 2;
constexpr int kHolderRegisters = 248, kMakerRegisters = 152, kBringerRegisters = 40;

template <class T, int K, bool has_delta, bool has_momentum, Result result>
struct ForwardShared {
  static constexpr int halves = has_momentum ? 2 : 1;
  static constexpr bool has_outputs = result == Result::outputs;
  // With delta v is soon in registers; else its slot is taken until the outputs are made.
  static constexpr int value_slots = has_delta ? 2 : 4;
  struct Stage {
    alignas(1024) T k[kChunk * K];
    alignas(1024) T q[has_outputs ? kChunk * K : 8];
    alignas(1024) T inverse[has_delta ? kPanelElements : 8];
    alignas(1024) T scores[has_outputs ? kPanelElements : 8];
    alignas(16) Coefficients coefficients;
  } stage[kStages];
  alignas(1024) T v[value_slots][kPanelElements];
  alignas(1024) T x[2][halves * kChunk * K];
  alignas(1024) T w[2][has_delta ? kPanelElements : 8];
  alignas(1024) T o[has_outputs ? kPanelElements : 8];
  std::uint64_t full[kStages], empty[kStages], landed;
  std::uint64_t v_landed[value_slots], v_full[value_slots], v_empty[value_slots];
  std::uint64_t x_full[2], w_full[2], x_empty[2];
};

template <class T, int K, bool has_delta, bool has_momentum, Result result, class Shared>
__device__ inline void hold_state(const ForwardArguments<T>& in, Shared& shared, Document document) {
  const int thread = threadIdx.x % kWarpgroup, warp = thread / 32, lane = thread % 32;
  const std::int64_t state =
      ((std::int64_t{blockIdx.z} * in.sizes.heads + blockIdx.y) * K) * in.sizes.value_width + 64 * blockIdx.x;
  Half<K> s, m;
  exchange_state<K, true>(s, in.initial_S ? in.initial_S + state : nullptr, nullptr, in.sizes.value_width,
                          warp, lane);
  if constexpr (has_momentum) {
    exchange_state<K, true>(m, in.initial_M ? in.initial_M + state : nullptr, nullptr, in.sizes.value_width,
                            warp, lane);
  }
  for (int c = 0; c < document.chunks; ++c) {
    auto& stage = shared.stage[c % kStages];
    const int slot = c % Shared::value_slots;
    const std::uint32_t v = shared_address(shared.v[slot]);
    wait(&shared.full[c % kStages], c / kStages & 1);
    wait(&shared.v_full[slot], c / Shared::value_slots & 1);  // then L is mended too, for the other as well
    if (c >= 2) wait(&shared.x_empty[c % 2], (c / 2 - 1) & 1);
    const std::uint32_t x = shared_address(shared.x[c % 2]);
    const std::uint32_t k_address = shared_address(stage.k);

    float z[32], z_M[32];
    // For the outputs a panel of S and one of M make one operand of 128 rows.
    constexpr int rows_bytes = kPanelElements * sizeof(T);
    constexpr int panel_bytes = result == Result::outputs ? Shared::halves * rows_bytes : rows_bytes;
    constexpr int m_bytes = result == Result::outputs ? rows_bytes : K / kPanel * rows_bytes;
    read_half<T, K, has_delta, panel_bytes>(s, z, operand<Major::k>(k_address), x, warp, lane);
    if constexpr (has_momentum) {
      if constexpr (has_delta) wait_products<0>();
      read_half<T, K, has_delta, panel_bytes>(m, z_M, operand<Major::k>(k_address), x + m_bytes, warp, lane);
    }
    fence_shared();
    arrive(&shared.x_full[c % 2]);
    const Coefficients& of = stage.coefficients;
    std::uint32_t w_S[16], w_M[16];
    if constexpr (has_delta) {
      wait_products<0>();
      fence_fragment(z);
      if constexpr (has_momentum) fence_fragment(z_M);
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        const float2 read_S = pair_of(of.read_S, n, lane), read_M = pair_of(of.read_M, n, lane);
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const int i = 4 * n + 2 * h;
          z[i] *= read_S.x;
          z[i + 1] *= read_S.y;
          if constexpr (has_momentum) {
            z[i] -= read_M.x * z_M[i];
            z[i + 1] -= read_M.y * z_M[i + 1];
          }
        }
      }
      subtract_from_transposed<T>(z, v, warp, lane);
      arrive(&shared.v_empty[slot]);
      std::uint32_t r[16];
      pack_fragment<T>(z, r);
      const int end = cut_to_range<T>(r, lane);
      if constexpr (Shared::has_outputs) spoil_scores(stage.scores, end);
      const std::uint64_t inverse = operand<Major::k>(shared_address(stage.inverse));
      fence_fragment(z);
      begin_products();
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        product<Major::k>(z, static_cast<const T*>(nullptr), &r[4 * i], inverse + step<Major::k>(i), true);
      }
      commit_products();
    }
    const Scale scale_S = scale_of_rows<T>(lane, of.write_S),
                scale_M = has_momentum ? scale_of_rows<T>(lane, of.write_M) : Scale{};
    decay_state<has_momentum>(s, m, of, scale_S, scale_M);
    if constexpr (has_delta) {
      fence_fragment(s);  // the decay, under the product
      if constexpr (has_momentum) fence_fragment(m);
      wait_products<0>();
      fence_fragment(z);
      pack_fragment<T>(z, w_S);
      const int end = cut_to_range<T>(w_S, lane);
      if constexpr (Shared::has_outputs) spoil_scores(stage.scores, end);
      const std::uint32_t w = shared_address(shared.w[c % 2]);
      lay_operand(w_S, w, warp, lane);
      fence_shared();
      arrive(&shared.w_full[c % 2]);
    } else {
      load_transposed<T>(z, v, warp, lane);
      arrive(&shared.v_empty[slot]);
    }
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      const float2 write_S = pair_of(of.write_S, n, lane, scale_S.up);
      w_S[2 * n] = Element<T>::pack(z[4 * n] * write_S.x, z[4 * n + 1] * write_S.y);
      w_S[2 * n + 1] = Element<T>::pack(z[4 * n + 2] * write_S.x, z[4 * n + 3] * write_S.y);
      if constexpr (has_momentum) {
        const float2 write_M = pair_of(of.write_M, n, lane, scale_M.up);
        w_M[2 * n] = Element<T>::pack(-z[4 * n] * write_M.x, -z[4 * n + 1] * write_M.y);
        w_M[2 * n + 1] = Element<T>::pack(-z[4 * n + 2] * write_M.x, -z[4 * n + 3] * write_M.y);
      }
    }
    write_half<T, K>(s, w_S, operand<Major::mn>(k_address));
    if constexpr (has_momentum) write_half<T, K>(m, w_M, operand<Major::mn>(k_address));
    wait_products<0>();
    fence_fragment(s);
    if constexpr (has_momentum) fence_fragment(m);
    scale_down<T>(s, scale_S);
    if constexpr (has_momentum) scale_down<T>(m, scale_M);
    arrive(&shared.empty[c % kStages]);
  }
  if (in.final_S) exchange_state<K, false>(s, nullptr, in.final_S + state, in.sizes.value_width, warp, lane);
  if constexpr (has_momentum) {
    if (in.final_M)
      exchange_state<K, false>(m, nullptr, in.final_M + state, in.sizes.value_width, warp, lane);
  }
}

template <class T, int K, bool has_delta, bool has_momentum, class Shared>
__device__ inline void make_outputs(const ForwardArguments<T>& in, Shared& shared, Document document) {
  const int thread = threadIdx.x % kWarpgroup, warp = thread / 32, lane = thread % 32;
  const T* const element = nullptr;
  for (int c = 0; c < document.chunks; ++c) {
    auto& stage = shared.stage[c % kStages];
    const Chunk chunk = in.chunk[document.first_chunk + c];
    wait(&shared.full[c % kStages], c / kStages & 1);
    // q and L in registers: two operands in shared memory would take all of its bandwidth from warpgroup 0.
    std::uint32_t a[4 * (K / 16)];
    load_operand<K / 16>(a, shared_address(stage.q), warp, lane);
    wait(&shared.x_full[c % 2], c / 2 & 1);
    float o[32 * Shared::halves];
    fence_fragment(o);
    begin_products();
    const std::uint64_t x = operand<Major::k>(shared_address(shared.x[c % 2]));
#pragma unroll
    for (int i = 0; i < K / 16; ++i) {
      product<Major::k>(o, element, &a[4 * i], x + step<Major::k>(i, Shared::halves * 8192), i > 0);
    }
    commit_products();
    wait_products<0>();
    fence_fragment(o);
    constexpr bool may_spoil = has_delta && has_short_range<T>;  // with w
    if constexpr (!may_spoil) load_operand<4>(a, shared_address(stage.scores), warp, lane);
    float sum[32];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int t = 16 * warp + lane / 4 + 8 * h;
      const float out_S = stage.coefficients.out_S[t], out_M = stage.coefficients.out_M[t];
#pragma unroll
      for (int n = 0; n < 8; ++n) {
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int i = 4 * n + 2 * h + e;
          sum[i] = out_S * o[i];
          if constexpr (has_momentum) sum[i] -= out_M * o[32 + i];
        }
      }
    }
    fence_fragment(sum);
    if constexpr (has_delta) wait(&shared.w_full[c % 2], c / 2 & 1);
    if constexpr (may_spoil) load_operand<4>(a, shared_address(stage.scores), warp, lane);
    begin_products();
    const int slot = c % Shared::value_slots;
    constexpr Major along = has_delta ? Major::k : Major::mn;
    const std::uint64_t w = operand<along>(shared_address(has_delta ? shared.w[c % 2] : shared.v[slot]));
#pragma unroll
    for (int i = 0; i < 4; ++i) product<along>(sum, element, &a[4 * i], w + step<along>(i), true);
    commit_products();
    wait_products<0>();
    fence_fragment(sum);
    arrive(&shared.x_empty[c % 2]);
    arrive(&shared.empty[c % kStages]);
    if constexpr (!has_delta) arrive(&shared.v_empty[slot]);

    sync(1, kWarpgroup);  // everyone has stored the tile before
    lay_fragment(sum, shared.o, warp, lane);
    sync(1, kWarpgroup);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = i * 16 + thread / 8, piece = thread % 8;
      if (row >= chunk.rows) continue;
      const uint4 eight = *reinterpret_cast<const uint4*>(reinterpret_cast<const unsigned char*>(shared.o) +
                                                          row * kRowBytes + ((piece ^ (row & 7)) << 4));
      const std::int64_t at =
          (std::int64_t{chunk.token + row} * in.sizes.heads + blockIdx.y) * in.sizes.value_width +
          64 * blockIdx.x;
      *reinterpret_cast<uint4*>(in.o + at + 8 * piece) = eight;
    }
  }
}

template <class T, int K, bool has_delta, bool has_momentum, class Shared>
__device__ inline void store_states(const ForwardArguments<T>& in, Shared& shared, Document document) {
  if (threadIdx.x % kWarpgroup != 0) return;
  constexpr int state = Shared::halves * kChunk * K;
  for (int c = 0; c < document.chunks; ++c) {
    const std::int64_t tile = in.sizes.entry(document.first_chunk + c, blockIdx.y) * gridDim.x + blockIdx.x;
    wait(&shared.x_full[c % 2], c / 2 & 1);
    if (in.states) store_bytes(in.states + tile * state, shared.x[c % 2], sizeof(T) * state);
    if constexpr (has_delta) {
      wait(&shared.w_full[c % 2], c / 2 & 1);
      if (in.states)
        store_bytes(in.residuals + tile * kPanelElements, shared.w[c % 2], sizeof(T) * kPanelElements);
    }
    wait_stores_read();
    arrive(&shared.x_empty[c % 2]);
  }
}

// All but v.
template <class T, int K, bool has_delta, Result result, class Shared>
__device__ inline void bring_tiles(const ForwardArguments<T>& in, Shared& shared, Document document) {
  constexpr bool outputs = result == Result::outputs;
  const int key_head = blockIdx.y / (in.sizes.heads / in.sizes.key_heads);
  Landing landing{&shared.landed};
  for (int c = 0; c < document.chunks; ++c) {
    auto& stage = shared.stage[c % kStages];
    const int token = in.chunk[document.first_chunk + c].token;
    const std::int64_t index = in.sizes.entry(document.first_chunk + c, blockIdx.y);
    const int rows = in.coefficients[index].rows;
    if (c >= kStages) wait(&shared.empty[c % kStages], (c / kStages - 1) & 1);
    bring(&shared.full[c % kStages], landing,
          sizeof(T) * (kChunk * K * (1 + outputs) + kPanelElements * (has_delta + outputs)) +
              sizeof(Coefficients),
          stage.k, K / kPanel, rows, [&](std::uint64_t* barrier) {
            for (int panel = 0; panel < K / kPanel; ++panel) {
              copy_panel(stage.k + panel * kPanelElements, in.k, panel * kPanel, key_head, token, barrier);
              if constexpr (outputs)
                copy_panel(stage.q + panel * kPanelElements, in.q, panel * kPanel, key_head, token, barrier);
            }
            copy_bytes(&stage.coefficients, in.coefficients + index, sizeof(Coefficients), barrier);
            if constexpr (has_delta)
              copy_bytes(stage.inverse, in.inverse + index * kPanelElements, sizeof(T) * kPanelElements,
                         barrier);
            if constexpr (outputs)
              copy_bytes(stage.scores, in.scores + index * kPanelElements, sizeof(T) * kPanelElements,
                         barrier);
          });
  }
}

// v, a chunk earlier than the rest where there is delta. For the outputs two warps look through it.
template <class T, Result result, class Shared>
__device__ inline void bring_values(const ForwardArguments<T>& in, Shared& shared, Document document,
                                    int half) {
  constexpr int slots = Shared::value_slots, bytes = sizeof(T) * kPanelElements;
  Landing landing{&shared.v_landed[0]};
  for (int c = 0; c < document.chunks; ++c) {
    auto& stage = shared.stage[c % kStages];
    const int token = in.chunk[document.first_chunk + c].token, slot = c % slots;
    const std::int64_t index = in.sizes.entry(document.first_chunk + c, blockIdx.y);
    const int rows = in.coefficients[index].rows;
    if (c >= slots) wait(&shared.v_empty[slot], (c / slots - 1) & 1);
    const auto issue = [&](std::uint64_t* barrier) {
      copy_panel(shared.v[slot], in.v, 64 * blockIdx.x, blockIdx.y, token, barrier);
    };
    if constexpr (result == Result::states) {
      bring(&shared.v_full[slot], landing, bytes, shared.v[slot], 1, rows, issue);
    } else {
      if (half == 0 && threadIdx.x % 32 == 0) {
        arrive_expecting(&shared.v_landed[slot], bytes);
        issue(&shared.v_landed[slot]);
      }
      wait(&shared.v_landed[slot], c / slots & 1);
      mend_values(shared.v[slot], half, rows, [&](int row) {
        wait(&shared.full[c % kStages], c / kStages & 1);
        fill_rows(stage.scores, 1, row, kNaNs);
        if (threadIdx.x % 32 == 0) stage.coefficients.keep_S = stage.coefficients.keep_M = nanf("");
      });
      fence_shared();
      arrive(&shared.v_full[slot]);
    }
  }
}

template <class T, int K, bool has_delta, bool has_momentum, Result result>
__global__ __launch_bounds__(3 * kWarpgroup, 1) void forward(const __grid_constant__ ForwardArguments<T> in) {
  using Shared = ForwardShared<T, K, has_delta, has_momentum, result>;
  extern __shared__ unsigned char memory[];
  Shared& shared = shared_memory<Shared>(memory);
  if (threadIdx.x == 0) {
    constexpr bool outputs = result == Result::outputs;
    for (int i = 0; i < kStages; ++i) {
      init_barrier(&shared.full[i], 32);
      init_barrier(&shared.empty[i], outputs ? 2 * kWarpgroup : kWarpgroup);
    }
    for (int i = 0; i < Shared::value_slots; ++i) {
      init_barrier(&shared.v_landed[i], 1);
      init_barrier(&shared.v_full[i], outputs ? 64 : 32);
      init_barrier(&shared.v_empty[i], outputs && !has_delta ? 2 * kWarpgroup : kWarpgroup);
    }
    init_barrier(&shared.landed, 1);
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
    hold_state<T, K, has_delta, has_momentum, result>(in, shared, document);
  } else if (threadIdx.x < 2 * kWarpgroup) {
    lower_registers<kMakerRegisters>();
    if constexpr (result == Result::outputs) {
      make_outputs<T, K, has_delta, has_momentum>(in, shared, document);
    } else {
      store_states<T, K, has_delta, has_momentum>(in, shared, document);
    }
  } else {
    lower_registers<kBringerRegisters>();
    const int warp = threadIdx.x % kWarpgroup / 32;
    if (warp == 0) bring_tiles<T, K, has_delta, result>(in, shared, document);
    if (warp == 1 || (result == Result::outputs && warp == 2))
      bring_values<T, result>(in, shared, document, warp - 1);
  }
}

}  // namespace mdnlab::scan::cuda
