// The state's way through the chunks of a document with channel-wise decay (channel_operands.cuh): a block of
// 384 threads takes one document, head and 64 value columns.
//
//   warpgroup 0 holds Xᵀ (64×K float32) in registers: w = T⁻¹(V − DX), X ← ā_C∘X + Ψᵀw. It lays X and w,
//   rounded,
//               into shared memory for the other.
//   warpgroup 1 makes what leaves the kernel, a step behind: o = Q̂X + Lw, or, for the backward pass, X and w.
//   warpgroup 2 brings tiles: two of its warps v, another the operands.
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
  const ChannelOperands<T, K>* operands;  // [chunks·H]
  const Coefficients* coefficients;       // likewise, with momentum
  const float *initial_S, *initial_M;     // [N,H,K,V], null: 0
  float *final_S, *final_M;               // likewise, null: not wanted
  T* o;                                   // (tokens,H,V), Result::outputs
  T* states;     // [chunks·H][V/64] of S then M, each K/64 panels of 64 value rows × 64 key columns;
                 // Result::states; null: not wanted, only the final states are
  T* residuals;  // [chunks·H][V/64] panels of 64 value rows × 64 tokens: wᵀ
};

template <class T, int K, bool has_momentum>
struct ChannelForwardShared {
  static constexpr int halves = has_momentum ? 2 : 1;
  static constexpr int copies = has_momentum ? 1 : 2;  // of X: there is no room for two of S and M
  struct Stage {
    alignas(1024) ChannelOperands<T, K> of;
    alignas(16) Coefficients coefficients;
  } stage[kStages];
  alignas(1024) T v[kStages][kPanelElements];
  alignas(1024) T x[copies][halves * kChunk * K];
  T w[2][kPanelElements];
  T o[kPanelElements];
  std::uint64_t full[kStages], empty[kStages], v_landed[kStages], v_full[kStages], v_empty[kStages];
  std::uint64_t x_full[copies], w_full[2], x_empty[copies];
};

template <class T, int K, Result result, bool has_momentum>
__device__ inline void hold_channel_state(const ChannelForwardArguments<T, K>& in,
                                          ChannelForwardShared<T, K, has_momentum>& shared,
                                          Document document) {
  using Shared = ChannelForwardShared<T, K, has_momentum>;
  const int thread = threadIdx.x % kWarpgroup, warp = thread / 32, lane = thread % 32,
            V = in.sizes.value_width;
  const T* const element = nullptr;
  const std::int64_t boundary =
      (std::int64_t{blockIdx.z} * in.sizes.heads + blockIdx.y) * K * V + 64 * blockIdx.x;
  Half<K> s, m;
  exchange_state<K, true>(s, in.initial_S ? in.initial_S + boundary : nullptr, nullptr, V, warp, lane);
  if constexpr (has_momentum)
    exchange_state<K, true>(m, in.initial_M ? in.initial_M + boundary : nullptr, nullptr, V, warp, lane);
  for (int c = 0; c < document.chunks; ++c) {
    auto& stage = shared.stage[c % kStages];
    const Coefficients& of = stage.coefficients;
    constexpr int copies = Shared::copies;
    wait(&shared.full[c % kStages], c / kStages & 1);
    wait(&shared.v_full[c % kStages], c / kStages & 1);  // then L is mended too, for the other as well
    if (c >= copies) wait(&shared.x_empty[c % copies], (c / copies - 1) & 1);

    // V − DX, transposed. For the outputs a panel of S and one of M make one operand of 128 rows.
    constexpr int rows_bytes = kPanelElements * sizeof(T);
    constexpr int panel_bytes = result == Result::outputs ? Shared::halves * rows_bytes : rows_bytes;
    constexpr int m_bytes = result == Result::outputs ? rows_bytes : K / kPanel * rows_bytes;
    const std::uint64_t read = operand<Major::k>(shared_address(stage.of.read));
    const std::uint32_t x = shared_address(shared.x[c % copies]);
    float z[32], z_M[32];
    read_half<T, K, true, panel_bytes>(s, z, read, x, warp, lane);
    if constexpr (has_momentum) {
      wait_products<0>();
      read_half<T, K, true, panel_bytes>(m, z_M, read, x + m_bytes, warp, lane);
    }
    fence_shared();
    arrive(&shared.x_full[c % copies]);
    wait_products<0>();
    fence_fragment(z);
    if constexpr (has_momentum) {
      fence_fragment(z_M);
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        const float2 read_M = pair_of(of.read_M, n, lane);
#pragma unroll
        for (int i = 4 * n; i < 4 * n + 4; i += 2) {
          z[i] -= read_M.x * z_M[i];
          z[i + 1] -= read_M.y * z_M[i + 1];
        }
      }
    }
    scale_down<T>(z, stage.of.of_read());
    subtract_from_transposed<T>(z, shared_address(shared.v[c % kStages]), warp, lane);
    arrive(&shared.v_empty[c % kStages]);

    // w, and under its product the decay of the state.
    std::uint32_t a[16];
    pack_fragment<T>(z, a);
    const int end_of_r = cut_to_range<T>(a, lane);
    if constexpr (result == Result::outputs) spoil_scores(stage.of.scores, end_of_r);
    const std::uint64_t inverse = operand<Major::k>(shared_address(stage.of.inverse));
    fence_fragment(z);
    begin_products();
#pragma unroll
    for (int i = 0; i < 4; ++i) product<Major::k>(z, element, &a[4 * i], inverse + step<Major::k>(i), true);
    commit_products();
    const Scale scale_S = has_momentum ? scale_of_rows<T>(lane, of.write_S) : stage.of.of_write(lane),
                scale_M = has_momentum ? scale_of_rows<T>(lane, of.write_M) : Scale{};
    if constexpr (has_momentum) {
      const float cross = of.cross, keep_M = of.keep_M;
#pragma unroll
      for (int i = 0; i < K / 2; ++i) {
        s[i] -= cross * m[i];
        m[i] *= keep_M;
      }
      decay<K>(m, stage.of.keep, scale_M, lane);
      fence_fragment(m);
    }
    decay<K>(s, stage.of.keep, scale_S, lane);
    fence_fragment(s);
    wait_products<0>();
    fence_fragment(z);
    pack_fragment<T>(z, a);
    const int end_of_w = cut_to_range<T>(a, lane);
    if constexpr (result == Result::outputs) spoil_scores(stage.of.scores, end_of_w);
    const std::uint32_t w = shared_address(shared.w[c % 2]);
    lay_operand(a, w, warp, lane);
    fence_shared();
    arrive(&shared.w_full[c % 2]);
    const std::uint64_t write = operand<Major::mn>(shared_address(stage.of.write));
    std::uint32_t w_M[16];
    if constexpr (has_momentum) {
      scale_columns<T>(a, of.write_S, scale_S.up, lane, [&](int i) { return z[i]; });
      scale_columns<T>(w_M, of.write_M, -scale_M.up, lane, [&](int i) { return z[i]; });
    } else if constexpr (has_short_range<T>) {
      scale_columns<T>(a, stage.of.write_rows, scale_S.up, lane, [&](int i) { return z[i]; });
    }
    write_half<T, K>(s, a, write);
    if constexpr (has_momentum) write_half<T, K>(m, w_M, write);
    wait_products<0>();
    fence_fragment(s);
    if constexpr (has_momentum) fence_fragment(m);
    scale_down<T>(s, scale_S);
    if constexpr (has_momentum) scale_down<T>(m, scale_M);
    arrive(&shared.empty[c % kStages]);
  }
  if (in.final_S) exchange_state<K, false>(s, nullptr, in.final_S + boundary, V, warp, lane);
  if constexpr (has_momentum) {
    if (in.final_M) exchange_state<K, false>(m, nullptr, in.final_M + boundary, V, warp, lane);
  }
}

template <class T, int K, bool has_momentum>
__device__ inline void make_channel_outputs(const ChannelForwardArguments<T, K>& in,
                                            ChannelForwardShared<T, K, has_momentum>& shared,
                                            Document document) {
  using Shared = ChannelForwardShared<T, K, has_momentum>;
  const int thread = threadIdx.x % kWarpgroup, warp = thread / 32, lane = thread % 32;
  const T* const element = nullptr;
  for (int c = 0; c < document.chunks; ++c) {
    auto& stage = shared.stage[c % kStages];
    const Chunk chunk = in.chunk[document.first_chunk + c];
    constexpr int copies = Shared::copies;
    wait(&shared.full[c % kStages], c / kStages & 1);
    // Q̂ and L in registers: two operands in shared memory would take all of its bandwidth from warpgroup 0.
    std::uint32_t query[K / 4], score[16];
    load_operand<K / 16>(query, shared_address(stage.of.out), warp, lane);
    wait(&shared.x_full[c % copies], c / copies & 1);
    constexpr bool may_spoil = has_short_range<T>;  // with w
    if constexpr (!has_momentum && !may_spoil)
      load_operand<4>(score, shared_address(stage.of.scores), warp, lane);
    float o[32], of_state[has_momentum ? 64 : 1];
    const std::uint64_t x = operand<Major::k>(shared_address(shared.x[c % copies])),
                        w = operand<Major::k>(shared_address(shared.w[c % 2]));
    if constexpr (has_momentum) {
      fence_fragment(of_state);
      begin_products();
#pragma unroll
      for (int i = 0; i < K / 16; ++i)
        product<Major::k>(of_state, element, &query[4 * i], x + step<Major::k>(i, 2 * 8192), i > 0);
      commit_products();
      wait_products<0>();
      fence_fragment(of_state);
      arrive(&shared.x_empty[c % copies]);
      if constexpr (!may_spoil) load_operand<4>(score, shared_address(stage.of.scores), warp, lane);
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const float out_M = stage.coefficients.out_M[16 * warp + lane / 4 + 8 * h];
#pragma unroll
        for (int n = 0; n < 8; ++n) {
#pragma unroll
          for (int i = 4 * n + 2 * h; i < 4 * n + 2 * h + 2; ++i)
            o[i] = of_state[i] - out_M * of_state[32 + i];
        }
      }
      scale_down<T>(o, stage.of.of_read());
      fence_fragment(o);
    } else {
      fence_fragment(o);
      begin_products();
#pragma unroll
      for (int i = 0; i < K / 16; ++i)
        product<Major::k>(o, element, &query[4 * i], x + step<Major::k>(i), i > 0);
      commit_products();
      if constexpr (has_short_range<T>) {
        wait_products<0>();
        fence_fragment(o);
        scale_down<T>(o, stage.of.of_read());
        fence_fragment(o);
      }
    }
    wait(&shared.w_full[c % 2], c / 2 & 1);
    if constexpr (may_spoil) load_operand<4>(score, shared_address(stage.of.scores), warp, lane);
    begin_products();
#pragma unroll
    for (int i = 0; i < 4; ++i) product<Major::k>(o, element, &score[4 * i], w + step<Major::k>(i), true);
    commit_products();
    wait_products<0>();
    fence_fragment(o);
    if constexpr (!has_momentum) arrive(&shared.x_empty[c % copies]);
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

template <class T, int K, bool has_momentum>
__device__ inline void store_channel_states(const ChannelForwardArguments<T, K>& in,
                                            ChannelForwardShared<T, K, has_momentum>& shared,
                                            Document document) {
  if (threadIdx.x % kWarpgroup != 0) return;
  constexpr int copies = ChannelForwardShared<T, K, has_momentum>::copies,
                state = sizeof(shared.x[0]) / sizeof(T);
  for (int c = 0; c < document.chunks; ++c) {
    const std::int64_t tile = in.sizes.entry(document.first_chunk + c, blockIdx.y) * gridDim.x + blockIdx.x;
    wait(&shared.x_full[c % copies], c / copies & 1);
    if (in.states) store_bytes(in.states + tile * state, shared.x[c % copies], sizeof(shared.x[0]));
    wait(&shared.w_full[c % 2], c / 2 & 1);
    if (in.states) store_bytes(in.residuals + tile * kPanelElements, shared.w[c % 2], sizeof(shared.w[0]));
    // Where X has one place and w two, w may still be on its way.
    wait_stores_read<copies == 1 ? 1 : 0>();
    arrive(&shared.x_empty[c % copies]);
  }
  wait_stores_read();
}

template <class T, int K, bool has_momentum>
__device__ inline void bring_channel_operands(const ChannelForwardArguments<T, K>& in,
                                              ChannelForwardShared<T, K, has_momentum>& shared,
                                              Document document) {
  for (int c = 0; c < document.chunks; ++c) {
    auto& stage = shared.stage[c % kStages];
    std::uint64_t* const full = &shared.full[c % kStages];
    const std::int64_t index = in.sizes.entry(document.first_chunk + c, blockIdx.y);
    if (c >= kStages) wait(&shared.empty[c % kStages], (c / kStages - 1) & 1);
    if (threadIdx.x % 32 != 0) continue;
    arrive_expecting(full, sizeof(stage.of) + (has_momentum ? sizeof(Coefficients) : 0));
    copy_bytes(&stage.of, in.operands + index, sizeof(stage.of), full);
    if constexpr (has_momentum)
      copy_bytes(&stage.coefficients, in.coefficients + index, sizeof(Coefficients), full);
  }
}

// v, a chunk earlier than the rest. For the outputs two warps look through it.
template <class T, int K, Result result, bool has_momentum>
__device__ inline void bring_channel_values(const ChannelForwardArguments<T, K>& in,
                                            ChannelForwardShared<T, K, has_momentum>& shared,
                                            Document document, int half) {
  constexpr int bytes = sizeof(T) * kPanelElements;
  Landing landing{&shared.v_landed[0]};
  for (int c = 0; c < document.chunks; ++c) {
    const int slot = c % kStages;
    auto& stage = shared.stage[slot];
    const Chunk chunk = in.chunk[document.first_chunk + c];
    if (c >= kStages) wait(&shared.v_empty[slot], (c / kStages - 1) & 1);
    const auto issue = [&](std::uint64_t* barrier) {
      copy_panel(shared.v[slot], in.v, 64 * blockIdx.x, blockIdx.y, chunk.token, barrier);
    };
    if constexpr (result == Result::states) {
      bring(&shared.v_full[slot], landing, bytes, shared.v[slot], 1, chunk.rows, issue);
    } else {
      if (half == 0 && threadIdx.x % 32 == 0) {
        arrive_expecting(&shared.v_landed[slot], bytes);
        issue(&shared.v_landed[slot]);
      }
      wait(&shared.v_landed[slot], c / kStages & 1);
      mend_values(shared.v[slot], half, chunk.rows, [&](int row) {
        wait(&shared.full[slot], c / kStages & 1);
        fill_rows(stage.of.scores, 1, row, kNaNs);
        for (int channel = threadIdx.x % 32; channel < K; channel += 32) stage.of.keep[channel] = nanf("");
      });
      fence_shared();
      arrive(&shared.v_full[slot]);
    }
  }
}

// Grid (V/64, H, N).
template <class T, int K, Result result, bool has_momentum>
__global__ __launch_bounds__(3 * kWarpgroup, 1) void channel_forward(
    const __grid_constant__ ChannelForwardArguments<T, K> in) {
  using Shared = ChannelForwardShared<T, K, has_momentum>;
  extern __shared__ unsigned char memory[];
  Shared& shared = shared_memory<Shared>(memory);
  if (threadIdx.x == 0) {
    constexpr bool outputs = result == Result::outputs;
    for (int i = 0; i < kStages; ++i) {
      init_barrier(&shared.full[i], 1);
      init_barrier(&shared.v_landed[i], 1);
      init_barrier(&shared.v_full[i], outputs ? 64 : 32);
      init_barrier(&shared.v_empty[i], kWarpgroup);
      init_barrier(&shared.empty[i], outputs ? 2 * kWarpgroup : kWarpgroup);
    }
    for (int i = 0; i < 2; ++i) init_barrier(&shared.w_full[i], kWarpgroup);
    for (int i = 0; i < Shared::copies; ++i) {
      init_barrier(&shared.x_full[i], kWarpgroup);
      init_barrier(&shared.x_empty[i], outputs ? kWarpgroup : 1);
    }
    fence_barrier_init();
  }
  __syncthreads();
  const Document document = in.document[blockIdx.z];
  if (threadIdx.x < kWarpgroup) {
    raise_registers<kHolderRegisters>();
    hold_channel_state<T, K, result>(in, shared, document);
  } else if (threadIdx.x < 2 * kWarpgroup) {
    lower_registers<kMakerRegisters>();
    if constexpr (result == Result::outputs) {
      make_channel_outputs(in, shared, document);
    } else {
      store_channel_states(in, shared, document);
    }
  } else {
    lower_registers<kBringerRegisters>();
    const int warp = threadIdx.x % kWarpgroup / 32;
    if (warp == 0) bring_channel_operands(in, shared, document);
    if (warp == 1 || (result == Result::outputs && warp == 2))
      bring_channel_values<T, K, result>(in, shared, document, warp - 1);
  }
}

}  // namespace mdnlab::scan::cuda
