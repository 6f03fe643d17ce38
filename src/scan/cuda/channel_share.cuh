// Channel-wise decay: α_t is a vector over the K key channels, and so is what is left of write j at token t,
// a_{j→t} = ∏_{j<s≤t} α_s. Products over channels of the pairs j < t of a chunk come in six levels. At level
// h = 1, 2, 4 … 32 the chunk is pairs of neighbouring blocks of h tokens; writers j are in the earlier block
// of a pair, readers t in the later. With m the earlier block's last token,
//
//     a_{j→t} = a_{m→t} ∘ a_{j→m}      reader t: x_t∘a_{m→t}      writer j: β_j k_j∘a_{j→m}
//
// so that a level is a matrix product, and each pair j < t is in exactly one. Every factor is a product of
// α's, in [0, 1]: no difference of exponents, no division, hence no bound on α, which may be 0.
//
// Elementwise work is shared out by two adjacent channels of some adjacent tokens a thread, a part of the
// chunk.
#pragma once

#include <type_traits>

#include "scan/cuda/problem.h"
#include "scan/cuda/sm90.cuh"

namespace mdnlab::scan::cuda {

constexpr int kShare = 16;  // tokens of a share
constexpr int kShares = kChunk / kShare;
constexpr int kLevelRows = kChunk / 2;  // readers of a level, and writers

// Rows of K elements, `head` and `token` elements apart.
template <class T>
struct Rows {
  const T* data;
  std::int64_t token, head;
};

template <class T>
struct ChannelInputs {
  Rows<T> q, k;            // (tokens,G,K)
  const float* log_alpha;  // (tokens,H,K)
  const float* beta;       // (tokens,H), null: 1
  const Chunk* chunk;      // [chunks]
  Sizes sizes;
};

// Tokens that are none have α = 1, q = k = 0.
template <class T>
struct Share {
  float2 alpha[kShare];
  std::uint32_t q[kShare], k[kShare];
};

template <class T>
__device__ inline float2 widened(std::uint32_t pair) {
  return {Element<T>::low(pair), Element<T>::high(pair)};
}
__device__ inline float2 operator*(float2 a, float2 b) { return {a.x * b.x, a.y * b.y}; }
__device__ inline float2 operator*(float a, float2 b) { return {a * b.x, a * b.y}; }
__device__ inline float2 operator+(float2 a, float2 b) { return {a.x + b.x, a.y + b.y}; }
__device__ inline float2& operator+=(float2& a, float2 b) { return a = a + b; }
__device__ inline float2& operator*=(float2& a, float2 b) { return a = a * b; }
// eˣ; 0 where that is below the smallest normal number.
__device__ inline float2 exp_flushed(float2 x) {
  const float2 y = 1.4426950408889634f * x;
  return {exp2_flushed(y.x), exp2_flushed(y.y)};
}
template <class T>
__device__ inline std::uint32_t pack(float2 pair) {
  return Element<T>::pack(pair.x, pair.y);
}

// Where `row` of rows `bytes` apart begins.
template <class X>
__device__ inline X* row_at(X* first, int row, int bytes) {
  using Byte = std::conditional_t<std::is_const_v<X>, const char, char>;
  return reinterpret_cast<X*>(reinterpret_cast<Byte*>(first) + std::int64_t{row} * bytes);
}

// The rows of two adjacent channels of a head, from a chunk's first token on.
template <class T, int K>
struct PairRows {
  const float* log_alpha;
  const T *q, *k;
  int gate_bytes, q_bytes, k_bytes;

  __device__ PairRows(const ChannelInputs<T>& in, Chunk chunk, int head, int key_head, int pair) {
    const std::int64_t token = chunk.token;
    log_alpha = in.log_alpha + (token * in.sizes.heads + head) * K + 2 * pair;
    q = in.q.data + token * in.q.token + key_head * in.q.head + 2 * pair;
    k = in.k.data + token * in.k.token + key_head * in.k.head + 2 * pair;
    gate_bytes = in.sizes.heads * K * sizeof(float);
    q_bytes = in.q.token * sizeof(T);
    k_bytes = in.k.token * sizeof(T);
  }
  __device__ void load(int row, float2& of_gate, std::uint32_t& of_q, std::uint32_t& of_k) const {
    of_gate = *reinterpret_cast<const float2*>(row_at(log_alpha, row, gate_bytes));
    of_q = *reinterpret_cast<const std::uint32_t*>(row_at(q, row, q_bytes));
    of_k = *reinterpret_cast<const std::uint32_t*>(row_at(k, row, k_bytes));
  }
};

template <int K, class T>
__device__ inline void load_share(Share<T>& share, const ChannelInputs<T>& in, Chunk chunk, int head,
                                  int pair, int part) {
  const PairRows<T, K> rows(in, chunk, head, head * in.sizes.key_heads / in.sizes.heads, pair);
#pragma unroll
  for (int i = 0; i < kShare; ++i)
    rows.load(min(kShare * part + i, chunk.rows - 1), share.alpha[i], share.q[i], share.k[i]);
#pragma unroll
  for (int i = 0; i < kShare; ++i) share.alpha[i] = exp_flushed(share.alpha[i]);
  if (chunk.rows == kChunk) return;
#pragma unroll
  for (int i = 0; i < kShare; ++i) {
    if (kShare * part + i < chunk.rows) continue;
    share.alpha[i] = float2{1, 1};
    share.q[i] = share.k[i] = 0;
  }
}

// β of the chunk's tokens, 0 where there are none, by 64 threads.
template <class T>
__device__ inline float load_beta(const ChannelInputs<T>& in, Chunk chunk, int head, int row) {
  if (row >= chunk.rows) return 0;
  return in.beta ? in.beta[(std::int64_t{chunk.token} + row) * in.sizes.heads + head] : 1.0f;
}

// Calls put(i, f · α_first … α_i) for `size` tokens of a share from `first` on.
template <int size, class Put>
__device__ inline void multiply_onward(const float2 (&alpha)[kShare], int first, float2 f, Put&& put) {
#pragma unroll
  for (int i = 0; i < size; ++i) put(first + i, f *= alpha[first + i]);
}

// Calls put(i, f · α_{i+1} … α_{first+size−1}).
template <int size, class Put>
__device__ inline void multiply_back(const float2 (&alpha)[kShare], int first, float2 f, Put&& put) {
#pragma unroll
  for (int i = size - 1; i >= 0; --i) {
    put(first + i, f);
    f *= alpha[first + i];
  }
}

// What was made of α and q before is made anew, and holds no registers until then. (Of k it may: that has
// no more of them.)
template <class T>
__device__ inline void forget_products(Share<T>& share) {
  fence_fragment(reinterpret_cast<float(&)[2 * kShare]>(share.alpha));
#pragma unroll
  for (int i = 0; i < kShare; ++i) asm volatile("" : "+r"(share.q[i]));
}

__device__ inline float2 product_of(const float2 (&alpha)[kShare]) {
  float2 f{1, 1};
#pragma unroll
  for (int i = 0; i < kShare; ++i) f *= alpha[i];
  return f;
}

// Token i of a share is row first_row + level_row among the readers, or the writers, of level h.
template <int h>
__device__ constexpr int first_row(int part) {
  if constexpr (h < kShare) {
    return kShare / 2 * part;
  } else {
    return (part / (2 * h / kShare) * (h / kShare) + part % (h / kShare)) * kShare;
  }
}
template <int h>
__device__ constexpr int level_row(int i) {
  return h < kShare ? i / (2 * h) * h + i % h : i;
}
// From kShare on, a share is all readers or all writers.
__device__ constexpr bool is_reader(int h, int part) { return part / (h / kShare) % 2; }
// Rows are unsigned, so that their quotients by powers of two are shifts.
__device__ constexpr unsigned writer_of(unsigned log_h, unsigned row) {
  return row + (row >> log_h << log_h);
}
__device__ constexpr unsigned reader_of(unsigned log_h, unsigned row) {
  return writer_of(log_h, row) + (1u << log_h);
}

// Products come in tiles of eight readers by eight writers of rows of a level, where both have pairs of
// blocks in common: at levels 1 to 8 these are the tiles on the diagonal, at 16 half of all, at 32 all.
constexpr unsigned kTiles = 40, kTilesTo8 = 16;
__device__ constexpr unsigned first_tile(unsigned log_h) { return log_h < 5 ? 4 * log_h : 24; }

struct LevelTile {
  unsigned log_h, reader, writer;  // in eights of rows
};
__device__ inline LevelTile tile_of(unsigned n) {
  if (n < kTilesTo8) return {n / 4, n % 4, n % 4};
  const unsigned m = n - first_tile(4);
  return m < 8 ? LevelTile{4, m / 2, m / 4 * 2 + m % 2} : LevelTile{5, m / 4 - 2, m % 4};
}

// Calls read(i, a_{m→t}) for the readers and write(i, a_{j→m}) for the writers of level h among the share's
// tokens. `between`: the product of the parts between the share and m.
template <int h, class Read, class Write>
__device__ inline void for_each_factor(const float2 (&alpha)[kShare], int part, float2 between, Read&& read,
                                       Write&& write) {
  if constexpr (h < kShare) {
#pragma unroll
    for (int first = 0; first < kShare; first += 2 * h) {
      multiply_back<h>(alpha, first, float2{1, 1}, write);
      multiply_onward<h>(alpha, first + h, float2{1, 1}, read);
    }
  } else if (is_reader(h, part)) {
    multiply_onward<kShare>(alpha, 0, between, read);
  } else {
    multiply_back<kShare>(alpha, 0, between, write);
  }
}

// Products of α around a share: before and after it in the chunk, and between it and m at levels 16 and 32.
struct Around {
  float2 before{1, 1}, after{1, 1}, in_16{1, 1}, in_32;
  template <int pairs>
  __device__ Around(const float2 (&total)[kShares][pairs], int part, int pair) {
    constexpr int kOfHalf = kShares / 2;
    const int half = part / kOfHalf * kOfHalf;
    float2 other_half{1, 1};
#pragma unroll
    for (int i = 0; i < kOfHalf; ++i) {
      const float2 of_half = total[half + i][pair];
      if (half + i < part) before *= of_half;
      if (half + i > part) after *= of_half;
      if (kShare < 16 && half + i == (part ^ 1) && part % 2 == is_reader(16, part)) in_16 = of_half;
      other_half *= total[(half ^ kOfHalf) + i][pair];
    }
    in_32 = half == 0 ? after : before;
    if (half == 0) after *= other_half;
    if (half != 0) before *= other_half;
  }
};

}  // namespace mdnlab::scan::cuda
