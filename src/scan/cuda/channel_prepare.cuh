// The operands of each chunk and head with channel-wise decay (channel_operands.cuh), for all of them at
// once. A block takes one: each thread two channels of a part of the tokens, and for the scores each warp
// some of the 8×8 tiles of a level (channel_share.cuh), 8 readers' queries and keys by 8 writers.
#pragma once

#include <type_traits>

#include "scan/cuda/channel_operands.cuh"
#include "scan/cuda/channel_share.cuh"
#include "scan/cuda/inverse.cuh"
#include "scan/cuda/tail.cuh"
#include "scan/cuda/warp_product.cuh"

namespace mdnlab::scan::cuda {

template <int K>
constexpr int kPrepareThreads = K / 2 * kShares;
template <int K, bool has_momentum>
constexpr int kPrepareBlocks = has_momentum&& K < kWideWidth ? 2 : 256 / K;  // on a multiprocessor

template <class T, int K>
struct ChannelPrepareArguments {
  ChannelInputs<T> in;              // with momentum beta is null
  ChannelOperands<T, K>* operands;  // [chunks·H]
  bool has_delta;
  // The others with momentum.
  HeadGates gates;
  Coefficients* coefficients;  // [chunks·H]; where K is 256 without momentum as well
  ChannelPairs<T>* pairs;      // [chunks·H], null: not wanted
};

template <class T, int K, bool has_momentum>
struct ChannelPrepareTiles {
  struct None {};
  union {
    // Two levels: rows are readers' queries, readers' keys, writers, all decayed to the middle.
    alignas(16) T level[2][3 * kLevelRows][K + 8];  // the 8 keep eight rows apart for the units' loads
    struct {                                        // once the scores are made
      alignas(1024) std::conditional_t<has_momentum, ChannelPairs<T>, None> pairs;
      alignas(16) float product[32][36];  // a factor of a merge
    };
  };
  alignas(1024) T scores[kPanelElements];
  alignas(16) float a[kChunk][kStride];  // A, then its inverse
  float2 total[kShares][K / 2];
  float beta[kChunk];
  float diagonal[K / kPanel][kChunk];  // ⟨q_t, k_t⟩ in parts
  int rows;
  float after_rows;
  std::conditional_t<has_momentum, Gamma, None> gamma;
  float query_key[has_momentum ? kChunk : 1][kStride];  // as `a`, for L
};

template <class T, int K, bool has_momentum>
struct ChannelPrepareShared : ChannelPrepareTiles<T, K, has_momentum>, RowScales<T> {};

// Where row t, column j of a panel is.
__device__ inline unsigned place_in_panel(unsigned t, unsigned j) {
  return t * kPanel + (j / 8 ^ (t & 7)) * 8 + j % 8;
}

// 0, or NaN where k or α of a row is not finite.
template <class T>
__device__ inline float zero_of(const Share<T>& share, int row) {
  const float2 k = widened<T>(share.k[row]), alpha = share.alpha[row];
  return 0 * k.x + 0 * k.y + 0 * alpha.x + 0 * alpha.y;
}

// Σ over the lanes of a warp of x[i] comes to x[0] of the 32/kShare lanes from i·32/kShare on.
template <int n = kShare>
__device__ inline void scatter_sums(float (&x)[kShare], int lane) {
  constexpr int distance = 16 * n / kShare;
  if constexpr (n == 1) {
#pragma unroll
    for (int i = distance; i > 0; i /= 2) x[0] += __shfl_xor_sync(~0u, x[0], i);
  } else {
    const bool is_upper = lane & distance;
#pragma unroll
    for (int i = 0; i < n / 2; ++i) {
      const float own = is_upper ? x[n / 2 + i] : x[i], others = is_upper ? x[i] : x[n / 2 + i];
      x[i] = own + __shfl_xor_sync(~0u, others, distance);
    }
    scatter_sums<n / 2>(x, lane);
  }
}

// From the first row on that is not finite there are no tokens, and what comes after them is NaN, as in the
// coefficients of scalar decay (problem.h). For all threads of the block.
template <class T, int K, bool has_momentum>
__device__ inline void end_tokens(ChannelPrepareShared<T, K, has_momentum>& shared, Share<T>& share,
                                  const ChannelPrepareArguments<T, K>& arguments, int part) {
  const int thread = threadIdx.x;
  if (thread < kChunk) {
    bool is_finite = isfinite(shared.beta[thread]);
    if constexpr (has_momentum) {
      const Gamma& gamma = shared.gamma;
      is_finite = isfinite(gamma.alpha[thread]) && isfinite(gamma.mu[thread]) &&
                  isfinite(gamma.beta[thread]) && isfinite(gamma.eta[thread]);
    }
    if (!is_finite) atomicMin(&shared.rows, thread);
  }
#pragma unroll
  for (int i = 0; i < kShare; ++i) {
    if (zero_of(share, i) != 0) atomicMin(&shared.rows, kShare * part + i);
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kShare; ++i) {
    if (kShare * part + i < shared.rows) continue;
    share.alpha[i] = float2{1, 1};
    share.k[i] = 0;
  }
  if (thread == 0 && shared.rows < arguments.in.chunk[blockIdx.x].rows) shared.after_rows = nanf("");
  if (thread < kChunk && thread >= shared.rows) {
    shared.beta[thread] = 0;
    if constexpr (has_momentum) {
      const std::int64_t index = arguments.in.sizes.entry(blockIdx.x, blockIdx.y);
      shared.gamma.eta[thread] = arguments.coefficients[index].read_M[thread] = 0;
    }
  }
}

template <int h, class T, int K, bool has_momentum>
__device__ inline void lay_level(ChannelPrepareShared<T, K, has_momentum>& shared, int slot, Share<T>& share,
                                 int part, int pair, float2 between) {
  std::uint32_t* const rows = reinterpret_cast<std::uint32_t*>(shared.level[slot][first_row<h>(part)]) + pair;
  constexpr int stride = (K + 8) / 2;
  forget_products(share);
  for_each_factor<h>(
      share.alpha, part, between,
      [&](int i, float2 f) {
        const float up = shared.reader(kShare * part + i).up;
        rows[level_row<h>(i) * stride] = pack<T>(up * (f * widened<T>(share.q[i])));
        rows[(kLevelRows + level_row<h>(i)) * stride] = pack<T>(up * (f * widened<T>(share.k[i])));
      },
      [&](int i, float2 f) {
        rows[(2 * kLevelRows + level_row<h>(i)) * stride] = pack<T>(f * widened<T>(share.k[i]));
      });
}

// A_tj and L_tj of a tile, with β, which the rows have not; with momentum without their factors.
template <class T, int K, bool has_momentum>
__device__ inline void score_tile(ChannelPrepareShared<T, K, has_momentum>& shared, bool has_delta,
                                  LevelTile tile, unsigned lane) {
  float d[4] = {};
  const auto& level = shared.level[tile.log_h % 2];
  const T *const writers = level[2 * kLevelRows + 8 * tile.writer + lane % 8] + lane / 8 * 8,
                 *const readers =
                     level[lane / 8 % 2 * kLevelRows + 8 * tile.reader + lane % 8] + lane / 16 * 8;
#pragma unroll
  for (int i = 0; i < K; i += 32) {
    std::uint32_t write[4], read[2][4];
    load_matrices(shared_address(writers + i), write);
    load_matrices(shared_address(readers + i), read[0]);
    load_matrices(shared_address(readers + i + 16), read[1]);
    multiply<T>(d, read[0], write[0], write[1]);
    multiply<T>(d, read[1], write[2], write[3]);
  }
  const unsigned reader = 8 * tile.reader + lane / 4, t = reader_of(tile.log_h, reader);
  const float down = shared.reader(t).down();
#pragma unroll
  for (unsigned e = 0; e < 2; ++e) {
    const unsigned writer = 8 * tile.writer + 2 * (lane % 4) + e, j = writer_of(tile.log_h, writer);
    if (reader >> tile.log_h != writer >> tile.log_h) continue;  // not of one pair of blocks
    if constexpr (has_momentum) {
      shared.query_key[t][j] = down * d[e];
      shared.a[t][j] = has_delta ? down * d[2 + e] : 0.0f;
    } else {
      const float beta = down * shared.beta[j];
      shared.scores[place_in_panel(t, j)] = T(beta * d[e]);
      shared.a[t][j] = has_delta ? beta * d[2 + e] : 0.0f;
    }
  }
}

// Where K is 256 the scans are those of scalar decay (wide.cuh), and find in the coefficients also what
// brings products with D, Q̂ and Ψ down; by 64 threads.
template <class T, int K, bool has_momentum>
__device__ inline void scale_coefficients(const ChannelPrepareShared<T, K, has_momentum>& shared,
                                          Coefficients& of, int t) {
  const float read = shared.reader(0).down();
  of.read_S[t] = of.out_S[t] = read;
  if constexpr (has_momentum) {
    of.read_M[t] *= read;
    of.out_M[t] *= read;
  } else {
    of.write_S[t] = shared.writer(t).down();
    of.keep_S = 1;
  }
}

// With momentum, by all threads: the pairs as they are, and A and L with their factors.
template <class T, int K>
__device__ inline void weigh_pairs(ChannelPrepareShared<T, K, true>& shared, float look_ahead, int thread) {
  constexpr int kOfRow = kPrepareThreads<K> / kChunk;
  const int t = thread / kOfRow;
  const GammaRow row(shared.gamma, look_ahead, t);
  float diagonal = 0;
  for (int part = 0; part < K / kPanel; ++part) diagonal += shared.diagonal[part][t];
  const bool is_token = t < shared.rows;
  const float none = is_token ? 0.0f : shared.after_rows;
  for (int j = thread % kOfRow; j < kChunk; j += kOfRow) {
    const auto [out, before] = row[j];
    const float query_key = j < t    ? shared.query_key[t][j]
                            : j == t ? diagonal
                                     : 0.0f,
                eta = shared.gamma.eta[j];
    const int at = place_in_panel(t, j);
    const float up = j < t ? shared.reader(t).up : 1.0f;
    shared.pairs.query_key[at] = T(up * query_key);
    shared.pairs.key_key[at] = T(up * shared.a[t][j]);
    shared.scores[at] = T(out * eta * query_key + none);
    shared.a[t][j] = is_token ? shared.a[t][j] * (before * eta) : 0.0f;
  }
}

template <class T, int K, bool has_momentum>
__global__ __launch_bounds__(kPrepareThreads<K>, kPrepareBlocks<K, has_momentum>) void channel_prepare(
    const __grid_constant__ ChannelPrepareArguments<T, K> arguments) {
  using Shared = ChannelPrepareShared<T, K, has_momentum>;
  extern __shared__ unsigned char memory[];
  Shared& shared = shared_memory<Shared>(memory);
  constexpr unsigned kThreads = kPrepareThreads<K>, kWarps = kThreads / 32;
  const ChannelInputs<T>& in = arguments.in;
  // The remainder, which is the index itself, is known not to be negative: quotients are shifts.
  const int thread = threadIdx.x % kThreads, warp = thread / 32, lane = thread % 32, pair = thread % (K / 2),
            part = thread / (K / 2);
  const int head = blockIdx.y;
  const Chunk chunk = in.chunk[blockIdx.x];
  const std::int64_t index = in.sizes.entry(blockIdx.x, head);
  ChannelOperands<T, K>& out = arguments.operands[index];

  if constexpr (has_momentum) {
    // Barriers of the whole block, where half of it would do: what waits at one while others are at another
    // compute-sanitizer takes for a race.
    if (thread < kWarpgroup) load_gates(shared.gamma, arguments.gates, chunk, head, thread);
    __syncthreads();
    if (thread < kWarpgroup) {
      coefficients(shared.gamma, arguments.coefficients[index], arguments.gates.look_ahead, thread,
                   [] { __syncthreads(); });
    } else {
      __syncthreads();
      __syncthreads();
    }
  }
  Share<T> share;
  load_share<K>(share, in, chunk, head, pair, part);
  float zero = 0;  // or NaN, where something is not finite
  if (thread < kChunk) {
    const float beta = load_beta(in, chunk, head, thread);
    shared.beta[thread] = beta;
    zero = 0 * beta;
    if constexpr (has_momentum) {
      const Gamma& gamma = shared.gamma;
      zero *= gamma.alpha[thread] + gamma.mu[thread] + gamma.beta[thread] + gamma.eta[thread];
    }
  }
  if (thread == 0) {
    shared.rows = chunk.rows;
    shared.after_rows = 0;
  }
  const auto clear = [&](auto& tile) {
    constexpr unsigned kPieces = sizeof(tile) / sizeof(uint4);
#pragma unroll
    for (unsigned first = 0; first < kPieces; first += kThreads) {
      if (first + kThreads <= kPieces || first + thread < kPieces)
        reinterpret_cast<uint4*>(tile)[first + thread] = uint4{};
    }
  };
  clear(shared.scores);
  clear(shared.a);
  std::uint32_t zeros = 0;
#pragma unroll
  for (int i = 0; i < kShare; ++i) {
    add_zero_of<T>(zeros, share.k[i]);
  }
  const float2 total = product_of(share.alpha);  // finite only where they all are
  shared.total[part][pair] = total;
  zero += Element<T>::low(zeros) + Element<T>::high(zeros) + 0 * total.x + 0 * total.y;
  if (__syncthreads_or(zero != 0)) {
    end_tokens(shared, share, arguments, part);
    shared.total[part][pair] = product_of(share.alpha);
    __syncthreads();
  }

  constexpr float2 one{1, 1};
  if constexpr (has_short_range<T>) {
    make_scales<has_momentum>(shared, shared.beta, share, Around(shared.total, part, pair).after, part, out,
                              has_momentum ? &arguments.coefficients[index] : nullptr);
  }
  if constexpr (K == kWideWidth) {
    if (thread < kChunk) scale_coefficients(shared, arguments.coefficients[index], thread);
  }

  float product[kShare];
#pragma unroll
  for (int i = 0; i < kShare; ++i) {
    const float2 of_pair = widened<T>(share.q[i]) * widened<T>(share.k[i]);
    product[i] = of_pair.x + of_pair.y;
  }
  scatter_sums(product, lane);
  constexpr int kLanes = 32 / kShare;
  if (lane % kLanes == 0) shared.diagonal[pair / 32][kShare * part + lane / kLanes] = product[0];

  // Scores, two levels at a time.
  lay_level<1>(shared, 0, share, part, pair, one);
  lay_level<2>(shared, 1, share, part, pair, one);
  __syncthreads();
  for (unsigned i = warp; i < first_tile(2); i += kWarps)
    score_tile(shared, arguments.has_delta, tile_of(i), lane);
  __syncthreads();
  lay_level<4>(shared, 0, share, part, pair, one);
  lay_level<8>(shared, 1, share, part, pair, one);
  __syncthreads();
  for (unsigned i = first_tile(2) + warp; i < first_tile(4); i += kWarps)
    score_tile(shared, arguments.has_delta, tile_of(i), lane);
  __syncthreads();
  // D, Q̂, Ψ and ā_C; beside them the last two levels.
  const Around around(shared.total, part, pair);
  lay_level<16>(shared, 0, share, part, pair, around.in_16);
  lay_level<32>(shared, 1, share, part, pair, around.in_32);
  forget_products(share);
  const float read_up = shared.reader(0).up;
  // Where row i of the share lies in a tile. Found anew for each tile, so that it holds no registers between.
  const auto row = [&](T* tile, unsigned first, int i) -> std::uint32_t& {
    return *reinterpret_cast<std::uint32_t*>(reinterpret_cast<char*>(tile) +
                                             ((first ^ unsigned(i % 8 * 16)) + unsigned(i * kRowBytes)));
  };
  unsigned first =
      pair / 32 * unsigned(sizeof(T) * kPanelElements) + part * unsigned(kShare * kRowBytes) + pair % 32 * 4;
  multiply_onward<kShare>(share.alpha, 0, around.before, [&](int i, float2 f) {
    row(out.out, first, i) = pack<T>(read_up * (f * widened<T>(share.q[i])));
    row(out.read, first, i) = arguments.has_delta ? pack<T>(read_up * (f * widened<T>(share.k[i]))) : 0;
  });
  forget_products(share);
  asm volatile("" : "+r"(first));
  multiply_back<kShare>(share.alpha, 0, around.after, [&](int i, float2 f) {
    const int t = kShare * part + i;
    row(out.write, first, i) = pack<T>(shared.writer(t).up * (shared.beta[t] * (f * widened<T>(share.k[i]))));
  });
  if (part == 0)
    reinterpret_cast<float2*>(out.keep)[pair] =
        shared.total[0][pair] * around.after + shared.after_rows * float2{1, 1};

  __syncthreads();
  for (unsigned i = first_tile(4) + warp; i < kTiles; i += kWarps)
    score_tile(shared, arguments.has_delta, tile_of(i), lane);
  if constexpr (has_momentum) {
    __syncthreads();
    weigh_pairs(shared, arguments.gates.look_ahead, thread);
  } else if (thread < kChunk) {
    float sum = 0;
    for (int part = 0; part < K / kPanel; ++part) sum += shared.diagonal[part][thread];
    shared.scores[place_in_panel(thread, thread)] =
        T(shared.beta[thread] * sum + (thread < shared.rows ? 0.0f : shared.after_rows));
  }
  fence_shared();
  __syncthreads();
  constexpr bool may_spoil = has_short_range<T>;
  if (thread == 0) {
    if constexpr (!may_spoil) store_bytes(out.scores, shared.scores, sizeof(out.scores));
    if constexpr (has_momentum) {
      if (arguments.pairs) store_bytes(&arguments.pairs[index], &shared.pairs, sizeof(shared.pairs));
    }
  }
  if (thread >= kWarpgroup) return;

  const auto wait_for_others = [] { sync(1, kWarpgroup); };
  invert<T>(shared, wait_for_others);
  int end = kChunk;  // of the rows of T⁻¹; from there on L is NaN, and so is the state after the chunk
  if constexpr (may_spoil) {
    end = rows_within_range(shared.rows, shared.a[0], kStride, thread, wait_for_others);
    if (end < kChunk) {
      if (warp == 0) fill_rows(shared.scores, 1, end, kNaNs);
      for (int channel = thread; channel < K; channel += kWarpgroup) out.keep[channel] = nanf("");
    }
    fence_shared();
    wait_for_others();
    if (thread == 0) store_bytes(out.scores, shared.scores, sizeof(out.scores));
  }
  for (int piece = thread; piece < kChunk * 8; piece += kWarpgroup) {
    const int row = piece / 8, column = piece % 8 * 8;
    float x[8];
    *reinterpret_cast<float4*>(&x[0]) = *reinterpret_cast<const float4*>(&shared.a[row][column]);
    *reinterpret_cast<float4*>(&x[4]) = *reinterpret_cast<const float4*>(&shared.a[row][column + 4]);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if (row == column + i || (may_spoil && row >= end)) x[i] = 0;
    }
    reinterpret_cast<uint4*>(out.inverse)[row * 8 + (piece % 8 ^ (row & 7))] =
        uint4{Element<T>::pack(x[0], x[1]), Element<T>::pack(x[2], x[3]), Element<T>::pack(x[4], x[5]),
              Element<T>::pack(x[6], x[7])};
  }
  if (thread == 0) wait_stores_read();
}

}  // namespace mdnlab::scan::cuda
