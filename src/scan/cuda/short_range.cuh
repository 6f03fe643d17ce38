// What f16 needs where bf16, with float32's range, needs nothing. f16 knows nothing below 2^−24, no element
// to full precision below 2^−14, and none above 65504.
//
// - Rows on their way into a float32 sum are scaled by coefficients; after decays of e⁻²⁰ none would be left.
//   A power of two that brings the largest coefficient near 1 goes into them, and its inverse onto the sum:
//   exact, so that only roundings differ.
// - An element above the range would reach the tokens before its own, as infinity times a zero of T⁻¹ or L.
//   It becomes 0, and what comes out from its token to the chunk's end NaN.
#pragma once

#include <type_traits>

#include "scan/cuda/problem.h"
#include "scan/cuda/tail.cuh"

namespace mdnlab::scan::cuda {

template <class T>
constexpr bool has_short_range = std::is_same_v<T, __half>;
constexpr float kMostHalf = 65504;

// A power of two: what goes onto the rows. Its inverse, onto the sum, takes no register of its own.
struct Scale {
  float up = 1;
  __device__ float down() const { return __uint_as_float((254u << 23) - __float_as_uint(up)); }
};
__device__ inline Scale operator*(Scale a, Scale b) { return {a.up * b.up}; }

// Brings `largest` (≥ 0) into [1/2, 1): 1 where it is in [2^−5, 1] already, 0 or not finite. No more than
// 2^48, so that a state times two of them is within float32.
__device__ inline Scale scale_to_one(float largest) {
  constexpr int kBias = 127, kMost = 48;
  if ((largest >= 1.0f / 32 && largest <= 1) || largest == 0 || !isfinite(largest)) return {};
  const int exponent = static_cast<int>(__float_as_uint(largest) >> 23) - (kBias - 1);
  const int by = max(-kMost, min(kMost, exponent));
  return {__uint_as_float(static_cast<unsigned>(kBias - by) << 23)};
}

// The largest of a warp's floats ≥ 0.
__device__ inline float largest_of(float x) {
  return __uint_as_float(__reduce_max_sync(~0u, __float_as_uint(x)));
}

// For rows with coefficients from `rows`, of the chunk's 64 tokens each; 1 where T has no short range. By
// each warp.
template <class T, class... Row>
__device__ inline Scale scale_of_rows(int lane, const Row&... rows) {
  if constexpr (has_short_range<T>) {
    float largest = 0;
    ((largest = fmaxf(largest, fmaxf(fabsf(rows[lane]), fabsf(rows[lane + 32])))), ...);
    return scale_to_one(largest_of(largest));
  } else {
    return {};
  }
}

// A sum back from the scale of what was added.
template <class T, int N>
__device__ inline void scale_down(float (&sum)[N], Scale scale) {
  if constexpr (has_short_range<T>) {
    if (scale.up == 1) return;
    const float down = scale.down();
#pragma unroll
    for (int i = 0; i < N; ++i) sum[i] *= down;
  }
}

// Makes elements of an operand A (64 values × 64 tokens) that are not finite 0. The first of their tokens
// that this warp has, kChunk where it has none.
template <class T>
__device__ inline int cut_to_range(std::uint32_t (&a)[16], int lane) {
  int first = kChunk;
  if constexpr (has_short_range<T>) {
    std::uint32_t sum = 0;
#pragma unroll
    for (int i = 0; i < 16; ++i) add_zero_of<T>(sum, a[i]);
    if (__all_sync(~0u, (sum & 0x7fff7fff) == 0)) return first;
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      const int token = i / 2 * 8 + 2 * (lane % 4);
#pragma unroll
      for (int e = 1; e >= 0; --e) {
        const std::uint32_t exponent = e == 0 ? 0x7c00u : 0x7c000000u;
        if ((a[i] & exponent) != exponent) continue;
        a[i] &= e == 0 ? 0xffff0000u : 0xffffu;
        first = min(first, token + e);
      }
    }
    first = __reduce_min_sync(~0u, first);
  }
  return first;
}

// L from row `first` on, before others read it.
template <class T>
__device__ inline void spoil_scores(T* scores, int first) {
  if constexpr (has_short_range<T>) {
    if (first < kChunk) fill_rows(scores, 1, first, kNaNs);
  }
}

// The columns of a fragment from `first` on.
template <class T, int N>
__device__ inline void spoil_from(float (&d)[N], int first, int lane) {
  if constexpr (has_short_range<T>) {
    if (first >= N * 2) return;
#pragma unroll
    for (int i = 0; i < N; ++i) {
      if (i / 4 * 8 + 2 * (lane % 4) + i % 2 >= first) d[i] = nanf("");
    }
  }
}

// The first row of T⁻¹ with an element that f16 does not hold, kChunk where there is none, in `shared`; for
// 128 threads.
template <class Barrier>
__device__ inline int rows_within_range(int& shared, const float* inverse, int stride, int thread,
                                        Barrier&& wait_for_others) {
  if (thread == 0) shared = kChunk;
  wait_for_others();
  const float* const half_row = inverse + thread / 2 * stride + thread % 2 * (kChunk / 2);
  bool is_within = true;
#pragma unroll 8
  for (int i = 0; i < kChunk / 2; ++i) is_within = is_within && fabsf(half_row[i]) <= kMostHalf;
  if (!is_within) atomicMin(&shared, thread / 2);
  wait_for_others();
  return shared;
}

}  // namespace mdnlab::scan::cuda
