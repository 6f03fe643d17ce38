// What the steps of linear rules have in common: the gates of a head.
#pragma once

#include "ops/cuda/decode.h"
#include "ops/cuda/decode_gpu.cuh"
#include "ops/cuda/quick.cuh"

namespace mdnlab::ops::cuda {

__device__ inline float rounded(float x) { return __bfloat162float(__float2bfloat16_rn(x)); }
__device__ inline float4 operator*(float s, const float4& x) { return {s * x.x, s * x.y, s * x.z, s * x.w}; }
__device__ inline void add_to(float4& sum, float s, const float4& x) {
  sum.x += s * x.x, sum.y += s * x.y, sum.z += s * x.z, sum.w += s * x.w;
}
__device__ inline void put(float* p, const float4& x) { *reinterpret_cast<float4*>(p) = x; }

inline constexpr int kMixerWarps = 8;  // of a block

// Σ over the rows of each column, the same in every thread of the column, of which it has four; all of the
// block call it, and have read what an earlier call left in these sums.
template <int kColumns>
__device__ float4 sum_rows(float4 part, float (&sums)[kMixerWarps][kColumns]) {
  constexpr int kLanes = kColumns / 4;
  for (int distance = kLanes; distance < 32; distance *= 2) {
    part.x += __shfl_xor_sync(0xffffffffu, part.x, distance);
    part.y += __shfl_xor_sync(0xffffffffu, part.y, distance);
    part.z += __shfl_xor_sync(0xffffffffu, part.z, distance);
    part.w += __shfl_xor_sync(0xffffffffu, part.w, distance);
  }
  const int column = threadIdx.x % kLanes * 4;
  if (threadIdx.x % 32 < kLanes) put(&sums[threadIdx.x / 32][column], part);
  __syncthreads();
  part = make_float4(0, 0, 0, 0);
#pragma unroll
  for (int warp = 0; warp < kMixerWarps; ++warp)
    add_to(part, 1, *reinterpret_cast<const float4*>(&sums[warp][column]));
  return part;
}

__device__ inline float activated(bool is_silu, float z) {
  const float sigmoid = __fdividef(1.f, 1.f + __expf(-z));
  return is_silu ? z * sigmoid : sigmoid;
}

// By one thread: the gates of head h of sequence r, from what is learned of the head.
__device__ inline void read_gates(const MixerStep& in, const float* learned, int r, int h, float* gates) {
  Quick x[kProjections], w[kGateParameters], made[kGates];
#pragma unroll
  for (int i = 0; i < kGateParameters; ++i) w[i] = Quick(learned[i]);
  int used = 0;
#pragma unroll
  for (int i = 0; i < kProjections; ++i) used += in.rule.uses(static_cast<GateProjection>(i));
  int next = 0;
#pragma unroll
  for (int i = 0; i < kProjections; ++i) {
    if (in.rule.uses(static_cast<GateProjection>(i))) {
      const long long at = (static_cast<long long>(r) * used + next++) * in.H + h;
      x[i] = Quick(__bfloat162float(__ldcg(in.gates_RPH + at)));
    }
  }
  made[kLogAlpha] = made[kLogMu] = Quick(0.f);
  made[kBeta] = made[kEta] = made[kEraseShare] = Quick(1.f);
  gates_of<Quick>(in.rule, x, w, nullptr, made);
#pragma unroll
  for (int i = 0; i < kGates; ++i) gates[i] = made[i].value;
}

}  // namespace mdnlab::ops::cuda
