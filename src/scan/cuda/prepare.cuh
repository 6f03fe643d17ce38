// What a chunk needs before the state passes through it, for all chunks and heads at once: its coefficients,
// T⁻¹ = (I + A)⁻¹ and L (recurrences.md, section 2). A block of 128 threads takes one chunk of one head.
#pragma once

#include "scan/cuda/coefficients.cuh"
#include "scan/cuda/inverse.cuh"
#include "scan/cuda/problem.h"
#include "scan/cuda/short_range.cuh"
#include "scan/cuda/sm90.cuh"

namespace mdnlab::scan::cuda {

template <class T>
struct PrepareArguments {
  CUtensorMap q, k;                              // (K, G, tokens), boxes of 64 columns, one head, 64 tokens
  const float *log_alpha, *log_mu, *beta, *eta;  // (tokens, H), null as in scan::Inputs
  float look_ahead;
  const Chunk* chunk;  // [chunks]
  Sizes sizes;
  Coefficients* coefficients;  // [chunks·H]
  T* inverse;                  // [chunks·H] panels: T⁻¹ − I; unused without delta
  T* scores;                   // [chunks·H] panels: L
};

template <class T, int K>
struct PrepareShared {
  union {
    struct {
      alignas(1024) T q[kChunk * K];
      alignas(1024) T k[kChunk * K];
    };
    struct {  // once the products are made
      alignas(1024) T scores[kPanelElements];
      alignas(16) float a[kChunk][kStride];  // A, then T⁻¹
      alignas(16) float product[32][36];     // a factor of a merge
    };
  };
  Gamma gamma;
  int rows;
  std::uint64_t loaded;
};

// The first row of the chunk, up to `rows`, where `has_finite_gates` is not so or k is not finite, which the
// diagonal of K Kᵀ tells. For all threads of the block.
__device__ inline int finite_rows(int& shared, int rows, bool has_finite_gates, const float (&kk)[32],
                                  int thread) {
  const int warp = thread / 32, lane = thread % 32;
  if (thread == 0) shared = rows;
  __syncthreads();
  if (!has_finite_gates) atomicMin(&shared, thread % kChunk);
#pragma unroll
  for (int i = 0; i < 32; ++i) {
    const int t = 16 * warp + lane / 4 + i / 2 % 2 * 8, j = i / 4 * 8 + 2 * (lane % 4) + i % 2;
    if (t == j && !isfinite(kk[i])) atomicMin(&shared, t);
  }
  __syncthreads();
  return shared;
}

template <class T, int K, bool has_delta>
__global__ __launch_bounds__(kWarpgroup, 4) void prepare(const __grid_constant__ PrepareArguments<T> in) {
  using Shared = PrepareShared<T, K>;
  extern __shared__ unsigned char memory[];
  Shared& shared = shared_memory<Shared>(memory);
  const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
  const int head = blockIdx.y, key_head = head / (in.sizes.heads / in.sizes.key_heads);
  const Chunk chunk = in.chunk[blockIdx.x];
  const std::int64_t index = in.sizes.entry(blockIdx.x, head);

  if (thread == 0) {
    init_barrier(&shared.loaded, 1);
    fence_barrier_init();
    arrive_expecting(&shared.loaded, 2 * sizeof(shared.q));
    for (int panel = 0; panel < K / kPanel; ++panel) {
      copy_panel(shared.q + panel * kPanelElements, in.q, panel * kPanel, key_head, chunk.token,
                 &shared.loaded);
      copy_panel(shared.k + panel * kPanelElements, in.k, panel * kPanel, key_head, chunk.token,
                 &shared.loaded);
    }
  }
  const bool has_finite_gates = load_gates(shared.gamma, in, chunk, head, thread);
  __syncthreads();
  coefficients(shared.gamma, in.coefficients[index], in.look_ahead, thread, [] { __syncthreads(); });
  wait(&shared.loaded, 0);

  float kk[32], qk[32];
  const T* const element = nullptr;
  const std::uint64_t q = operand<Major::k>(shared_address(shared.q)),
                      k = operand<Major::k>(shared_address(shared.k));
  fence_fragment(kk);
  fence_fragment(qk);
  begin_products();
#pragma unroll
  for (int i = 0; i < K / 16; ++i) {
    if (has_delta)
      product<Major::k, Major::k>(kk, element, k + step<Major::k>(i), k + step<Major::k>(i), i > 0);
    product<Major::k, Major::k>(qk, element, q + step<Major::k>(i), k + step<Major::k>(i), i > 0);
  }
  commit_products();
  wait_products<0>();
  fence_fragment(kk);
  fence_fragment(qk);

  bool is_finite = true;
  if constexpr (has_delta) {
    float zero = 0;
#pragma unroll
    for (int i = 0; i < 32; ++i) zero += 0 * kk[i];
    is_finite = has_finite_gates && zero == 0;
  }
  int rows = chunk.rows;
  if (__syncthreads_or(!is_finite))  // and nobody reads q and k any more
    rows = finite_rows(shared.rows, rows, has_finite_gates, kk, thread);
  const float after_rows = rows < chunk.rows ? nanf("") : 0.0f;
  if (thread == 0) in.coefficients[index].rows = rows;
  if (rows < chunk.rows) {
    if (thread == 0) in.coefficients[index].keep_S = in.coefficients[index].keep_M = after_rows;
    if (thread >= rows && thread < kChunk)
      in.coefficients[index].read_S[thread] = in.coefficients[index].read_M[thread] = 0;
  }
  const auto& within_out = in.look_ahead == 0 ? shared.gamma.within_G : shared.gamma.within_O;
  const int low = lane / 4;  // of this thread's two rows
  float a_bar[2], b[2], m_bar[2], alpha[2], a_before[2], b_before[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int t = warp * kBlock + low + 8 * h;
    const bool is_first = low + 8 * h == 0;
    a_bar[h] = shared.gamma.a_bar[t], b[h] = shared.gamma.b[t],
    m_bar[h] = shared.gamma.m_bar[t] * in.look_ahead;
    alpha[h] = t < rows ? shared.gamma.alpha[t] : 0.0f;
    a_before[h] = is_first ? 1 : shared.gamma.a_bar[t - 1],
    b_before[h] = is_first ? 0 : shared.gamma.b[t - 1];
  }
#pragma unroll
  for (int n = 0; n < 8; ++n) {
    const int j = 8 * n + 2 * (lane % 4);
    const float2 eta = *reinterpret_cast<const float2*>(&shared.gamma.eta[j]);
    float2 last_G{}, last_R{};
    if (n / 2 < warp) {
      last_G = *reinterpret_cast<const float2*>(&shared.gamma.last_G[warp - 1][j]);
      last_R = *reinterpret_cast<const float2*>(&shared.gamma.last_R[warp - 1][j]);
    }
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int t = warp * kBlock + low + 8 * h, i = 4 * n + 2 * h;
      const bool is_token = t < rows;
      const float none = is_token ? 0.0f : after_rows;
      float2 out{a_bar[h] * last_G.x + b[h] * last_R.x + m_bar[h] * last_R.x,
                 a_bar[h] * last_G.y + b[h] * last_R.y + m_bar[h] * last_R.y};
      float2 before{a_before[h] * last_G.x + b_before[h] * last_R.x,
                    a_before[h] * last_G.y + b_before[h] * last_R.y};
      if (n / 2 == warp) {
        const int within = low + 8 * h;
        out = float2{within_out[j][within], within_out[j + 1][within]};
        if (within > 0)
          before = float2{shared.gamma.within_G[j][within - 1], shared.gamma.within_G[j + 1][within - 1]};
      }
      qk[i] = is_token && j <= t ? out.x * qk[i] * eta.x : none;
      qk[i + 1] = is_token && j + 1 <= t ? out.y * qk[i + 1] * eta.y : none;
      if (has_delta) {
        *reinterpret_cast<float2*>(&shared.a[t][j]) =
            float2{is_token && j < t ? alpha[h] * before.x * kk[i] * eta.x : 0.0f,
                   is_token && j + 1 < t ? alpha[h] * before.y * kk[i + 1] * eta.y : 0.0f};
      }
    }
    if (n % 2 == 0) continue;
    store_matrices(piece_address(shared_address(shared.scores), warp * kBlock + lane % 16, n - 1 + lane / 16),
                   Element<T>::pack(qk[4 * n - 4], qk[4 * n - 3]),
                   Element<T>::pack(qk[4 * n - 2], qk[4 * n - 1]), Element<T>::pack(qk[4 * n], qk[4 * n + 1]),
                   Element<T>::pack(qk[4 * n + 2], qk[4 * n + 3]));
  }
  fence_shared();
  __syncthreads();
  constexpr bool may_spoil = has_delta && has_short_range<T>;
  if (!may_spoil && thread == 0)
    store_bytes(in.scores + index * kPanelElements, shared.scores, sizeof(T) * kPanelElements);
  if constexpr (has_delta) {
    invert<T>(shared, [] { __syncthreads(); });
    int end = kChunk;  // of the rows of T⁻¹; from there on L is NaN, and so is the state after the chunk
    if constexpr (may_spoil) {
      end = rows_within_range(shared.rows, shared.a[0], kStride, thread, [] { __syncthreads(); });
      if (end < kChunk) {
        if (warp == 0) fill_rows(shared.scores, 1, end, kNaNs);
        if (thread == 0) in.coefficients[index].keep_S = in.coefficients[index].keep_M = nanf("");
      }
      fence_shared();
      __syncthreads();
      if (thread == 0)
        store_bytes(in.scores + index * kPanelElements, shared.scores, sizeof(T) * kPanelElements);
    }
    unsigned char* const inverse = reinterpret_cast<unsigned char*>(in.inverse + index * kPanelElements);
    for (int piece = thread; piece < kChunk * 8; piece += kWarpgroup) {
      const int row = piece / 8, column = piece % 8 * 8;
      float x[8];  // less I, so that what is added to it is rounded, and not the sum
#pragma unroll
      for (int i = 0; i < 8; ++i)
        x[i] = row == column + i || (may_spoil && row >= end) ? 0.0f : shared.a[row][column + i];
      const uint4 packed{Element<T>::pack(x[0], x[1]), Element<T>::pack(x[2], x[3]),
                         Element<T>::pack(x[4], x[5]), Element<T>::pack(x[6], x[7])};
      *reinterpret_cast<uint4*>(inverse + row * kRowBytes + ((piece % 8 ^ (row & 7)) << 4)) = packed;
    }
  }
  if (thread == 0) wait_stores_read();
}

}  // namespace mdnlab::scan::cuda
