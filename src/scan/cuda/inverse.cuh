// The inverse of a chunk's unit lower triangle, I + A, in shared memory by 128 threads: diagonal blocks of 16
// by substitution in float32, then pairs of blocks merged by the matrix units in tf32. `Shared` has
// a[64][kStride] and product[32][36], room for a factor of a merge. tf32 has no more digits than f16: for T
// of f16 what it drops of each factor is multiplied as well.
#pragma once

#include "scan/cuda/coefficients.cuh"
#include "scan/cuda/short_range.cuh"
#include "scan/cuda/warp_product.cuh"

namespace mdnlab::scan::cuda {

constexpr int kStride = kChunk + 4;

// What tf32 drops of x, in tf32.
__device__ inline std::uint32_t dropped(float x) { return as_tf32(x - __uint_as_float(as_tf32(x))); }

// to (16 rows × 8·tiles columns) = sign · left (16 × size) · right (size × 8·tiles), by one warp.
template <class T, int size, int tiles>
__device__ inline void multiply_block(float* to, int to_stride, const float* left, const float* right,
                                      int right_stride, float sign, int lane) {
  const int row = lane / 4, column = lane % 4;
  float d[tiles][4]{};
#pragma unroll
  for (int j = 0; j < size; j += 8) {
    const auto of_left = [&](int i) { return left[(row + i % 2 * 8) * kStride + j + column + i / 2 * 4]; };
    std::uint32_t a[4], rest[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      a[i] = as_tf32(of_left(i));
      if constexpr (has_short_range<T>) rest[i] = dropped(of_left(i));
    }
#pragma unroll
    for (int n = 0; n < tiles; ++n) {
      const float first = right[(j + column) * right_stride + 8 * n + row],
                  second = right[(j + column + 4) * right_stride + 8 * n + row];
      multiply_tf32(d[n], a, as_tf32(first), as_tf32(second));
      if constexpr (has_short_range<T>) {
        multiply_tf32(d[n], rest, as_tf32(first), as_tf32(second));
        multiply_tf32(d[n], a, dropped(first), dropped(second));
      }
    }
  }
#pragma unroll
  for (int n = 0; n < tiles; ++n) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      *reinterpret_cast<float2*>(to + (row + 8 * h) * to_stride + 8 * n + 2 * column) =
          float2{sign * d[n][2 * h], sign * d[n][2 * h + 1]};
    }
  }
}

// [T1 0; A21 T2] → [T1 0; −T2 A21 T1 T2] for two blocks of `size` from row `first` on; this warp makes 16
// rows from `row` and size/2 columns from `column` of what lies below.
template <class T, int size, class Shared, class Barrier>
__device__ inline void merge(Shared& shared, int first, int row, int column, int lane,
                             Barrier&& wait_for_others) {
  constexpr int tiles = size / 16, stride = 36;
  float* const product = &shared.product[first / 2][column];
  float* const below = &shared.a[first + size][first];
  multiply_block<T, size, tiles>(product + row * stride, stride, below + row * kStride,
                                 &shared.a[first][first + column], kStride, 1, lane);
  wait_for_others();
  multiply_block<T, size, tiles>(below + row * kStride + column, kStride, below + row * kStride + size,
                                 product, stride, -1, lane);
  wait_for_others();
}

// (I + A)⁻¹ in place of the strictly lower triangle `a`, whose other entries are 0. `wait_for_others` is a
// barrier of the 128 threads.
template <class T, class Shared, class Barrier>
__device__ inline void invert(Shared& shared, Barrier&& wait_for_others) {
  const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
  // A diagonal block a warp, a column a lane, by substitution.
  {
    const int first = warp * kBlock, column = lane % kBlock;
    float x[kBlock];
#pragma unroll
    for (int i = 0; i < kBlock; ++i) {
      float row[kBlock];
      if (i > 0) load_block(row, &shared.a[first + i][first]);
      float sum = i == column ? 1.0f : 0.0f;
#pragma unroll
      for (int j = 0; j < i; ++j) sum -= row[j] * x[j];
      x[i] = sum;
    }
    __syncwarp();
    if (lane < kBlock) {
#pragma unroll
      for (int i = 0; i < kBlock; ++i) shared.a[first + i][first + column] = x[i];
    }
  }
  wait_for_others();
  merge<T, kBlock>(shared, warp / 2 * 32, 0, warp % 2 * 8, lane, wait_for_others);
  merge<T, 2 * kBlock>(shared, 0, warp % 2 * 16, warp / 2 * 16, lane, wait_for_others);
}

}  // namespace mdnlab::scan::cuda
