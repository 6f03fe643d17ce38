// A chunk's tiles on their way into shared memory, where they may need mending before others see them:
//
// - The last chunk of a document may have fewer than 64 tokens. The rows after them are another document's,
//   or nobody's, and may hold anything, also NaN. They become zero.
// - A NaN or infinity in v would reach the rows before it, by a zero of T⁻¹ or L in a product. Its row
//   becomes zero, and what comes after, outputs and state, NaN.
#pragma once

#include "scan/cuda/problem.h"
#include "scan/cuda/sm90.cuh"

namespace mdnlab::scan::cuda {

// Where tiles land that one warp may mend.
struct Landing {
  std::uint64_t* barrier;
  int parity = 0;
};

// A warp brings `bytes` by issue(barrier), calls mend() in all lanes, and arrives with all lanes at `full`.
template <class Issue, class Mend>
__device__ inline void bring_mended(std::uint64_t* full, Landing& landing, int bytes, Issue&& issue,
                                    Mend&& mend) {
  if (threadIdx.x % 32 == 0) {
    arrive_expecting(landing.barrier, bytes);
    issue(landing.barrier);
  }
  wait(landing.barrier, landing.parity);
  __syncwarp();  // all have seen it before the next one is armed
  landing.parity ^= 1;
  mend();
  fence_shared();
  arrive(full);
}

// Rows of adjoining panels, from the first on, by a warp.
__device__ inline void fill_rows(void* panels, int count, int first, std::uint32_t value) {
  constexpr int kPieces = kRowBytes / 16;
#pragma unroll 1
  for (int panel = 0; panel < count; ++panel) {
    uint4* const pieces = static_cast<uint4*>(panels) + panel * kChunk * kPieces;
#pragma unroll 1
    for (int piece = first * kPieces + threadIdx.x % 32; piece < kChunk * kPieces; piece += 32)
      pieces[piece] = uint4{value, value, value, value};
  }
}

// As bring_mended; zero becomes of what is no token in `count` adjoining panels of a chunk with `rows`
// tokens.
template <class Issue>
__device__ inline void bring(std::uint64_t* full, Landing& landing, int bytes, void* panels, int count,
                             int rows, Issue&& issue) {
  if (rows < kChunk) {
    bring_mended(full, landing, bytes, issue, [&] { fill_rows(panels, count, rows, 0); });
  } else if (threadIdx.x % 32 == 0) {
    arrive_expecting(full, bytes);
    issue(full);
  } else {
    arrive(full);
  }
}

// 0 in both halves, NaN where one of `pair` is not finite; added to `sum`.
template <class T>
__device__ inline void add_zero_of(std::uint32_t& sum, std::uint32_t pair) {
  using Pair = typename Element<T>::Pair;
  const std::uint32_t zero = 0;
  const Pair result = __hfma2(reinterpret_cast<const Pair&>(pair), reinterpret_cast<const Pair&>(zero),
                              reinterpret_cast<const Pair&>(sum));
  sum = reinterpret_cast<const std::uint32_t&>(result);
}

template <class T>
__device__ inline bool is_finite(const uint4& pieces) {
  std::uint32_t sum = 0;
  add_zero_of<T>(sum, pieces.x);
  add_zero_of<T>(sum, pieces.y);
  add_zero_of<T>(sum, pieces.z);
  add_zero_of<T>(sum, pieces.w);
  return (sum & 0x7fff7fff) == 0;
}

constexpr int kHalfRows = kChunk / 2;  // of a tile of v: what a warp looks through
constexpr std::uint32_t kNaNs = ~0u;   // two elements

// Mends one half of a tile of v with `rows` tokens, by a warp: rows that are no tokens or not finite become
// zero. The first that is not finite goes to spoil(row), which makes L from there on, and the state after the
// chunk, NaN.
template <class T, class Spoil>
__device__ inline void mend_values(T* v, int half, int rows, Spoil&& spoil) {
  constexpr int kPieces = kRowBytes / 16;
  const int lane = threadIdx.x % 32;
  uint4* const pieces = reinterpret_cast<uint4*>(v) + half * kHalfRows * kPieces;
  std::uint32_t sum = 0;
#pragma unroll
  for (int i = 0; i < kHalfRows * kPieces / 32; ++i) {
    const uint4 x = pieces[32 * i + lane];
    add_zero_of<T>(sum, x.x);
    add_zero_of<T>(sum, x.y);
    add_zero_of<T>(sum, x.z);
    add_zero_of<T>(sum, x.w);
  }
  const int own_rows = rows - half * kHalfRows;
  if (__all_sync(~0u, (sum & 0x7fff7fff) == 0) && own_rows >= kHalfRows) return;
  int first = kChunk;
#pragma unroll 1
  for (int i = 0; i < kHalfRows / 4; ++i) {  // four rows at a time
    const int row = 4 * i + lane / 8;
    const bool is_bad = row < own_rows && !is_finite<T>(pieces[32 * i + lane]);
    const bool has_bad_row = __ballot_sync(~0u, is_bad) >> lane / 8 * 8 & 0xff;
    if (has_bad_row) first = min(first, half * kHalfRows + row);
    if (has_bad_row || row >= own_rows) pieces[32 * i + lane] = uint4{};
  }
  first = __reduce_min_sync(~0u, first);
  if (first < kChunk) spoil(first);
}

}  // namespace mdnlab::scan::cuda
