// A chunk's tiles on their way into shared memory. The last chunk of a document may have fewer than 64
// tokens: the rows after them are another document's, or nobody's, and may hold anything, also NaN. They
// become zero.
#pragma once

#include "scan/cuda/problem.h"
#include "scan/cuda/sm90.cuh"

namespace mdnlab::scan::cuda {

// The barrier of tiles that need such a repair, used by one warp.
struct Repair {
  std::uint64_t* barrier;
  int parity = 0;
};

// A warp brings `bytes` by issue(barrier), among them `count` adjoining panels of a chunk with `rows` tokens,
// and arrives once at `full` when they are there.
template <class Issue>
__device__ inline void bring(std::uint64_t* full, Repair& repair, int bytes, void* panels, int count,
                             int rows, Issue&& issue) {
  const int lane = threadIdx.x % 32;
  const bool is_whole = rows == kChunk;
  if (lane == 0) {
    std::uint64_t* const barrier = is_whole ? full : repair.barrier;
    arrive_expecting(barrier, bytes);
    issue(barrier);
  }
  if (is_whole) return;
  wait(repair.barrier, repair.parity);
  repair.parity ^= 1;
  constexpr int kPieces = kRowBytes / 16;
#pragma unroll 1
  for (int panel = 0; panel < count; ++panel) {
    uint4* const pieces = static_cast<uint4*>(panels) + panel * kChunk * kPieces;
#pragma unroll 1
    for (int piece = rows * kPieces + lane; piece < kChunk * kPieces; piece += 32) pieces[piece] = uint4{};
  }
  fence_shared();
  __syncwarp();
  if (lane == 0) arrive(full);
}

}  // namespace mdnlab::scan::cuda
