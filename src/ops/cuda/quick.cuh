// Numbers of the gates' formula by a GPU's fast functions, for one thread that all others wait for: a few
// times 1e-6 beside those of LibTorch, where the formula's own inputs are bf16.
#pragma once

#include <cuda_bf16.h>

#include "ops/gate_formula.h"

namespace mdnlab::ops::cuda {

struct Quick {
  float value = 0;

  Quick() = default;
  __device__ Quick(float constant) : value(constant) {}
};

__device__ inline Quick operator+(Quick x, Quick y) { return x.value + y.value; }
__device__ inline Quick operator-(Quick x, Quick y) { return x.value - y.value; }
__device__ inline Quick operator*(Quick x, Quick y) { return x.value * y.value; }
__device__ inline Quick operator/(Quick x, Quick y) { return __fdividef(x.value, y.value); }
__device__ inline Quick operator-(Quick x) { return -x.value; }

__device__ inline Quick exp(Quick x) { return __expf(x.value); }
__device__ inline Quick log(Quick x) { return __logf(x.value); }
__device__ inline Quick sqrt(Quick x) { return __fsqrt_rn(x.value); }
__device__ inline Quick square(Quick x) { return x.value * x.value; }
// Near 0 by their series: there the fast functions have no digits left.
__device__ inline Quick log1p(Quick x) {
  const float z = x.value, series = z * (1 - z * (1 / 2.F - z * (1 / 3.F - z / 4)));
  return fabsf(z) < 0.03F ? series : __logf(1 + z);
}
__device__ inline Quick expm1(Quick x) {
  const float z = x.value, series = z * (1 + z / 2 * (1 + z * (1 / 3.F) * (1 + z / 4)));
  return fabsf(z) < 0.03F ? series : __expf(z) - 1;
}
__device__ inline Quick sigmoid(Quick x) { return __fdividef(1, 1 + __expf(-x.value)); }
__device__ inline Quick tanh(Quick x) { return 1 - __fdividef(2, 1 + __expf(2 * x.value)); }
__device__ inline Quick softplus(Quick x) { return x.value > 20 ? x : log1p(exp(x)); }
__device__ inline Quick clamp_min(Quick x, float least) { return fmaxf(x.value, least); }

// To bf16 and back.
// (As one of two: a GPU rounds a single one by a slower path.)
__device__ inline float rounded(float x) { return __low2float(__floats2bfloat162_rn(x, 0.F)); }

}  // namespace mdnlab::ops::cuda
