// What a chunk needs before the state passes through it, for all chunks and heads at once: its coefficients,
// T⁻¹ = (I + A)⁻¹ and L (recurrences.md, section 2). A block of 128 threads takes one chunk of one head.
//
// Γ, the coefficients G and R of past writes, comes in blocks of 16 tokens: within a block by its recurrence,
// and for a column before the block from the last rows (g, r) of the block before: G_t = ā_t g + b_t r,
// R_t = m̄_t r, with ā, b, m̄ run from the block's start. Only products and sums of positive terms.
#pragma once

#include <type_traits>

#include "scan/cuda/problem.h"
#include "scan/cuda/sm90.cuh"

namespace mdnlab::scan::cuda {

template <class T>
struct PrepareArguments {
  CUtensorMap q, k;  // (K, G, tokens), boxes of 64 columns, one head, 64 tokens
  const float *log_alpha, *log_mu, *beta, *eta;  // (tokens, H), null as in scan::Inputs
  float look_ahead;
  const Chunk* chunk;  // [chunks]
  Sizes sizes;
  Coefficients* coefficients;  // [H·chunks]
  T* inverse;                  // [H·chunks] panels: T⁻¹; unused without delta
  T* scores;                   // [H·chunks] panels: L
};

constexpr int kBlock = 16;  // tokens of a block of Γ and of T⁻¹
constexpr int kStride = kChunk + 4;

template <class T, int K>
struct PrepareShared {
  alignas(1024) T q[kChunk * K];
  alignas(1024) T k[kChunk * K];
  alignas(16) float a[kChunk][kStride];  // A, then T⁻¹
  alignas(16) float product[32][36];     // a factor of a merge
  float within_G[kChunk][kBlock + 1];    // G_{tj} of t in j's block, at [j][t mod 16]
  float within_O[kChunk][kBlock + 1];    // G + ωR likewise
  float last_G[4][kChunk], last_R[4][kChunk];  // Γ's rows 15, 31, 47, 63
  float alpha[kChunk], mu[kChunk], beta[kChunk], eta[kChunk];
  float a_bar[kChunk], b[kChunk], m_bar[kChunk];  // run from the start of t's block
  std::uint64_t loaded;
};

// The whole of Γ's recurrence, into `shared` and the coefficients of the chunk.
template <class Shared>
__device__ inline void coefficients(Shared& shared, Coefficients& out, float look_ahead) {
  const int thread = threadIdx.x, t = thread % kChunk, block = t / kBlock, start = block * kBlock;
  if (thread < kChunk) {  // column j = t within its block
    float r = 1, g = shared.beta[t];
    shared.within_G[t][t % kBlock] = g;
    shared.within_O[t][t % kBlock] = g + look_ahead;
    for (int row = t + 1; row < start + kBlock; ++row) {
      r *= shared.mu[row];
      g = shared.alpha[row] * g + shared.beta[row] * r;
      shared.within_G[t][row % kBlock] = g;
      shared.within_O[t][row % kBlock] = g + look_ahead * r;
    }
    shared.last_G[block][t] = g;
    shared.last_R[block][t] = r;
  } else {  // row t
    float a_bar = 1, b = 0, m_bar = 1;
    for (int row = start; row <= t; ++row) {
      a_bar *= shared.alpha[row];
      m_bar *= shared.mu[row];
      b = shared.alpha[row] * b + shared.beta[row] * m_bar;
    }
    shared.a_bar[t] = a_bar;
    shared.b[t] = b;
    shared.m_bar[t] = m_bar;
  }
  __syncthreads();
  if (thread < kChunk) {
    float g = shared.last_G[block][t], r = shared.last_R[block][t];
    for (int next = block + 1; next < kChunk / kBlock; ++next) {
      const int last = next * kBlock + kBlock - 1;
      g = shared.a_bar[last] * g + shared.b[last] * r;
      r *= shared.m_bar[last];
      shared.last_G[next][t] = g;
      shared.last_R[next][t] = r;
    }
    out.write_S[t] = g * shared.eta[t];
    out.write_M[t] = r * shared.eta[t];
  } else {
    float a_bar = 1, b = 0, m_bar = 1;  // up to the block's start
    for (int last = kBlock - 1; last < start; last += kBlock) {
      b = shared.a_bar[last] * b + shared.b[last] * m_bar;
      a_bar *= shared.a_bar[last];
      m_bar *= shared.m_bar[last];
    }
    const float b_before = t == start ? b : shared.a_bar[t - 1] * b + shared.b[t - 1] * m_bar;
    b = shared.a_bar[t] * b + shared.b[t] * m_bar;
    a_bar *= shared.a_bar[t];
    m_bar *= shared.m_bar[t];
    out.read_S[t] = a_bar;
    out.read_M[t] = shared.alpha[t] * b_before;
    out.out_S[t] = a_bar;
    out.out_M[t] = b + look_ahead * m_bar;
    if (t == kChunk - 1) {
      out.keep_S = a_bar;
      out.cross = b;
      out.keep_M = m_bar;
      out.unused = 0;
    }
  }
  __syncthreads();
}

// (I + A)⁻¹ in place of the strictly lower triangle `a`, whose other entries are 0.
template <class Shared>
__device__ inline void invert(Shared& shared) {
  const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
  // A diagonal block a warp, a column a lane, by substitution.
  {
    const int first = warp * kBlock, column = lane % kBlock;
    float x[kBlock];
#pragma unroll
    for (int i = 0; i < kBlock; ++i) {
      float sum = 0;
#pragma unroll
      for (int j = 0; j < i; ++j) sum += shared.a[first + i][first + j] * x[j];
      x[i] = (i == column ? 1.0f : 0.0f) - sum;
    }
    __syncwarp();
    if (lane < kBlock) {
#pragma unroll
      for (int i = 0; i < kBlock; ++i) shared.a[first + i][first + column] = x[i];
    }
  }
  __syncthreads();
  // [T1 0; A21 T2] → [T1 0; −T2 A21 T1 T2], for two pairs of 16 at once, then for the pair of 32.
  auto merge = [&](auto size_, int first, int part, int parts) {
    constexpr int size = decltype(size_)::value;
    constexpr int quads = size / 4;
    const int column = part % quads * 4;
    for (int row = part / quads; row < size; row += parts / quads) {
      float4 sum{};
#pragma unroll 8
      for (int j = 0; j < size; ++j) {
        const float left = shared.a[first + size + row][first + j];
        const float4 right = *reinterpret_cast<const float4*>(&shared.a[first + j][first + column]);
        sum.x += left * right.x, sum.y += left * right.y, sum.z += left * right.z, sum.w += left * right.w;
      }
      *reinterpret_cast<float4*>(&shared.product[first / 2 + row][column]) = sum;
    }
    __syncthreads();
    for (int row = part / quads; row < size; row += parts / quads) {
      float4 sum{};
#pragma unroll 8
      for (int j = 0; j < size; ++j) {
        const float left = shared.a[first + size + row][first + size + j];
        const float4 right = *reinterpret_cast<const float4*>(&shared.product[first / 2 + j][column]);
        sum.x -= left * right.x, sum.y -= left * right.y, sum.z -= left * right.z, sum.w -= left * right.w;
      }
      *reinterpret_cast<float4*>(&shared.a[first + size + row][first + column]) = sum;
    }
    __syncthreads();
  };
  merge(std::integral_constant<int, 16>{}, thread / 64 * 32, thread % 64, 64);
  merge(std::integral_constant<int, 32>{}, 0, thread, 128);
}

template <class T, int K, bool has_delta>
__global__ __launch_bounds__(kWarpgroup) void prepare(const __grid_constant__ PrepareArguments<T> in) {
  using Shared = PrepareShared<T, K>;
  extern __shared__ unsigned char memory[];
  Shared& shared = shared_memory<Shared>(memory);
  const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
  const int head = blockIdx.y, key_head = head / (in.sizes.heads / in.sizes.key_heads);
  const Chunk chunk = in.chunk[blockIdx.x];
  const std::int64_t index = std::int64_t{head} * in.sizes.chunks + blockIdx.x;

  if (thread == 0) {
    init_barrier(&shared.loaded, 1);
    fence_barrier_init();
    arrive_expecting(&shared.loaded, 2 * sizeof(shared.q));
    for (int panel = 0; panel < K / kPanel; ++panel) {
      copy_panel(shared.q + panel * kPanelElements, in.q, panel * kPanel, key_head, chunk.token, &shared.loaded);
      copy_panel(shared.k + panel * kPanelElements, in.k, panel * kPanel, key_head, chunk.token, &shared.loaded);
    }
  }
  if (thread < kChunk) {
    const bool is_token = thread < chunk.rows;
    const std::int64_t at = (std::int64_t{chunk.token} + thread) * in.sizes.heads + head;
    shared.alpha[thread] = is_token && in.log_alpha ? expf(in.log_alpha[at]) : 1.0f;
    shared.mu[thread] = !in.log_mu ? 0.0f : is_token ? expf(in.log_mu[at]) : 1.0f;
    shared.beta[thread] = !is_token ? 0.0f : in.beta ? in.beta[at] : 1.0f;
    shared.eta[thread] = !is_token ? 0.0f : in.eta ? in.eta[at] : 1.0f;
  }
  __syncthreads();
  coefficients(shared, in.coefficients[index], in.look_ahead);
  wait(&shared.loaded, 0);

  float kk[32], qk[32];
  const T* const element = nullptr;
  const std::uint64_t q = operand<Major::k>(shared_address(shared.q)), k = operand<Major::k>(shared_address(shared.k));
  fence_fragment(kk);
  fence_fragment(qk);
  begin_products();
#pragma unroll
  for (int i = 0; i < K / 16; ++i) {
    if (has_delta) product<Major::k, Major::k>(kk, element, k + step<Major::k>(i), k + step<Major::k>(i), i > 0);
    product<Major::k, Major::k>(qk, element, q + step<Major::k>(i), k + step<Major::k>(i), i > 0);
  }
  commit_products();
  wait_products<0>();
  fence_fragment(kk);
  fence_fragment(qk);

#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int t = warp * kBlock + lane / 4 + 8 * h;
    const bool is_token = t < chunk.rows;
    const float a_bar = shared.a_bar[t], b = shared.b[t], m_bar = shared.m_bar[t], alpha = shared.alpha[t];
    const bool is_first = t % kBlock == 0;
    const float a_before = is_first ? 1 : shared.a_bar[t - 1], b_before = is_first ? 0 : shared.b[t - 1];
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int j = 8 * n + 2 * (lane % 4) + e, i = 4 * n + 2 * h + e;
        float g = 0, before = 0, out = 0;
        if (n / 2 < warp) {
          const float last_G = shared.last_G[warp - 1][j], last_R = shared.last_R[warp - 1][j];
          g = a_bar * last_G + b * last_R;
          before = a_before * last_G + b_before * last_R;
          out = g + in.look_ahead * (m_bar * last_R);
        } else if (n / 2 == warp && j <= t) {
          out = shared.within_O[j][t % kBlock];
          if (j < t) before = shared.within_G[j][t % kBlock - 1];
        }
        const float eta = shared.eta[j];
        qk[i] = is_token && j <= t ? out * qk[i] * eta : 0.0f;
        if (has_delta) shared.a[t][j] = is_token && j < t ? alpha * before * kk[i] * eta : 0.0f;
      }
    }
  }
  __syncthreads();  // A is whole, and nobody reads q any more
  const std::uint32_t scores = shared_address(shared.q);
#pragma unroll
  for (int n = 0; n < 8; n += 2) {
    store_matrices(piece_address(scores, warp * kBlock + lane % 16, n + lane / 16), Element<T>::pack(qk[4 * n], qk[4 * n + 1]),
                   Element<T>::pack(qk[4 * n + 2], qk[4 * n + 3]), Element<T>::pack(qk[4 * n + 4], qk[4 * n + 5]),
                   Element<T>::pack(qk[4 * n + 6], qk[4 * n + 7]));
  }
  fence_shared();
  __syncthreads();
  if (thread == 0) store_bytes(in.scores + index * kPanelElements, shared.q, sizeof(T) * kPanelElements);
  if constexpr (has_delta) {
    invert(shared);
    unsigned char* const inverse = reinterpret_cast<unsigned char*>(in.inverse + index * kPanelElements);
    for (int piece = thread; piece < kChunk * 8; piece += kWarpgroup) {
      const int row = piece / 8, column = piece % 8 * 8;
      const float* const from = &shared.a[row][column];
      const uint4 packed{Element<T>::pack(from[0], from[1]), Element<T>::pack(from[2], from[3]),
                         Element<T>::pack(from[4], from[5]), Element<T>::pack(from[6], from[7])};
      *reinterpret_cast<uint4*>(inverse + row * kRowBytes + ((piece % 8 ^ (row & 7)) << 4)) = packed;
    }
  }
  if (thread == 0) wait_stores_read();
}

}  // namespace mdnlab::scan::cuda
