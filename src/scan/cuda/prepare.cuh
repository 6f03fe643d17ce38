// What a chunk needs before the state passes through it, for all chunks and heads at once: its coefficients,
// T⁻¹ = (I + A)⁻¹ and L (recurrences.md, section 2). A block of 128 threads takes one chunk of one head.
#pragma once

#include <type_traits>

#include "scan/cuda/coefficients.cuh"
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

constexpr int kStride = kChunk + 4;

template <class T, int K>
struct PrepareShared {
  alignas(1024) T q[kChunk * K];
  alignas(1024) T k[kChunk * K];
  alignas(16) float a[kChunk][kStride];  // A, then T⁻¹
  alignas(16) float product[32][36];     // a factor of a merge
  Gamma gamma;
  std::uint64_t loaded;
};

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
  load_gates(shared.gamma, in, chunk, head, thread);
  __syncthreads();
  coefficients(shared.gamma, in.coefficients[index], in.look_ahead, thread, [] { __syncthreads(); });
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
    const GammaRow row(shared.gamma, in.look_ahead, t);
    const float alpha = shared.gamma.alpha[t];
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int j = 8 * n + 2 * (lane % 4) + e, i = 4 * n + 2 * h + e;
        const auto [out, before] = row[j];
        const float eta = shared.gamma.eta[j];
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
