// What the products of decoding have in common: the tensor cores' product, and what becomes of a sum.
#pragma once

#include <cstdint>

#include "ops/cuda/decode.h"
#include "ops/cuda/decode_gpu.cuh"
#include "ops/cuda/quick.cuh"

namespace mdnlab::ops::cuda {

inline constexpr int kBlock = 32;  // of K, that a thread has eight of

__device__ inline float silu(float x) { return __fdividef(x, 1.f + __expf(-x)); }

// Over 32 of K, of eight of which each thread has its part: 16 rows of W by eight of x. The tensor cores add
// up over k in whatever order k is named, so the eight lie side by side, of W and of x alike.
__device__ inline void multiply(float (&d)[4], const uint4& upper, const uint4& lower, const uint4& x) {
  multiply(d, upper.x, lower.x, upper.y, lower.y, x.x, x.y);
  multiply(d, upper.z, lower.z, upper.w, lower.w, x.z, x.w);
}

// What an output takes beside its sum. Of a part's row n and row r of x; `output` is the part's, which a
// kernel may know beforehand.
struct Beside {
  float taps[kTaps], bias, carried[kTaps - 1];  // none of which another kernel of this step writes
  float before;                                 // of add

  // Ahead of a wait.
  __device__ void fetch(RowsOutput output, const RowsPart& part, int n, std::int64_t r) {
    bias = output == RowsOutput::store && part.bias ? fetch_early(part.bias + n) : 0;
    if (output != RowsOutput::convolve) return;
#pragma unroll
    for (int i = 0; i < kTaps; ++i)
      taps[i] = i < part.taps ? fetch_early(part.taps_NW + n * part.taps + i) : 0;
    const __nv_bfloat16* const from = part.carried_RWN + r * (part.taps - 1) * part.N + n;
#pragma unroll
    for (int i = 0; i < kTaps - 1; ++i) carried[i] = i < part.taps - 1 ? fetch_early(from + i * part.N) : 0;
  }
  // Behind the wait.
  __device__ void fetch_before(RowsOutput output, const RowsPart& part, int n, std::int64_t r) {
    if (output == RowsOutput::add) before = __ldcg(static_cast<const float*>(part.y) + r * part.y_stride + n);
  }
};

__device__ inline float convolved(const RowsPart& part, int n, std::int64_t r, float x,
                                  const Beside& beside) {
  const int past = part.taps - 1;
  __nv_bfloat16* const carried = part.carried_RWN + r * past * part.N + n;
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kTaps; ++i) {
    if (i < past && i < kTaps - 1) {
      sum += beside.taps[i] * beside.carried[i];
      carried[i * part.N] =
          __float2bfloat16_rn(i + 1 < past ? beside.carried[i + 1 < kTaps - 1 ? i + 1 : i] : x);
    } else if (i == past) {
      sum += beside.taps[i] * x;
    }
  }
  return silu(sum);
}

// `up`: of swiglu.
__device__ inline void write_output(RowsOutput output, const RowsPart& part, int n, std::int64_t r, float sum,
                                    float up, const Beside& beside) {
  const std::int64_t to = r * part.y_stride + n;
  const float y = rounded(sum);
  const auto half = [&](float value) {
    static_cast<__nv_bfloat16*>(part.y)[to] = __float2bfloat16_rn(value);
  };
  const auto whole = [&](float value) { static_cast<float*>(part.y)[to] = value; };
  switch (output) {
    case RowsOutput::store: return half(part.bias ? y + rounded(beside.bias) : y);
    case RowsOutput::convolve: return whole(part.taps > 0 ? convolved(part, n, r, y, beside) : silu(y));
    case RowsOutput::swiglu: return half(silu(y) * rounded(up));
    case RowsOutput::add: return whole(beside.before + y);
    case RowsOutput::widen: return whole(sum);
  }
}

}  // namespace mdnlab::ops::cuda
