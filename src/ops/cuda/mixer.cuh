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
