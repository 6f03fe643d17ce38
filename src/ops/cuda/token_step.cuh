// A linear layer's step as one operation of a program (token.cu), but for the norm of its output, which the
// product behind it has in front.
//
// A block takes 16 columns of a head's S and M, four to a thread, and then the next ones, which it asks for
// when it has written these; for the first while the operation in front still runs.
#pragma once

#include "ops/cuda/mixer.cuh"
#include "ops/cuda/rows.cuh"
#include "ops/cuda/token_product.cuh"

namespace mdnlab::ops::cuda {

inline constexpr int kStepColumns = 16, kStepLanes = kStepColumns / 4,
                     kStepGroups =
                         kProgramThreads / kStepLanes;   // rows c, c + kStepGroups, … are of one thread
inline constexpr int kMostStepRows = 256 / kStepGroups;  // of a thread

struct StepShared {
  float q[256], k[256], alpha[256], mu[256];  // by row; alpha and mu of channel-wise decay
  alignas(16) float sums[2][kProgramWarps][kStepColumns];
  float norms[kProgramWarps][2];
  float gates[kGates];  // of the head
};

struct FetchedState {
  float4 S[kMostStepRows], M[kMostStepRows];
};

// The unit-th 16 columns, of a sequence's head.
struct StepPlace {
  int r, h, column;
  long long state;  // of the thread's first row

  __device__ StepPlace(const MixerStep& in, int unit) {
    const int of_head = in.V / kStepColumns;
    column = unit % of_head * kStepColumns + static_cast<int>(threadIdx.x) % kStepLanes * 4;
    h = unit / of_head % in.H, r = unit / of_head / in.H;
    const int row = static_cast<int>(threadIdx.x) / kStepLanes;
    state = ((static_cast<long long>(r) * in.H + h) * in.K + row) * in.V + column;
  }
};

__device__ inline int step_units(const MixerStep& in) { return in.R * in.H * (in.V / kStepColumns); }

// Rows past K's last are zeros.
__device__ inline void fetch_state(const MixerStep& in, int unit, FetchedState& state) {
  const StepPlace at(in, unit);
  const long long stride = static_cast<long long>(kStepGroups) * in.V;
#pragma unroll
  for (int i = 0; i < kMostStepRows; ++i) {
    const bool is_there = i * kStepGroups < in.K;
    state.S[i] = state.M[i] = make_float4(0, 0, 0, 0);
    if (is_there) state.S[i] = fetch_early4(in.S_RHKV + at.state + i * stride);
    if (is_there && in.M_RHKV) state.M[i] = fetch_early4(in.M_RHKV + at.state + i * stride);
  }
}

__device__ inline void put_state(const MixerStep& in, int unit, const FetchedState& state) {
  const StepPlace at(in, unit);
  const long long stride = static_cast<long long>(kStepGroups) * in.V;
#pragma unroll
  for (int i = 0; i < kMostStepRows; ++i) {
    if (i * kStepGroups >= in.K) break;
    put(in.S_RHKV + at.state + i * stride, state.S[i]);
    if (in.M_RHKV) put(in.M_RHKV + at.state + i * stride, state.M[i]);
  }
}

// q and k of a head as the scan reads them, a row a thread; its gates by the last thread.
__device__ inline void read_head(const MixerStep& in, int r, int h, StepShared& shared) {
  const int key_head = h / (in.H / in.G), row = threadIdx.x;
  const bool has_row = row < in.K;
  const long long pair = static_cast<long long>(r) * in.H + h;
  float q = 0, k = 0, of_channel = 0;
  if (row == kProgramThreads - 1) {
    float learned[kGateParameters];
#pragma unroll
    for (int i = 0; i < kGateParameters; ++i) learned[i] = in.w_H[i] ? in.w_H[i][h] : 0.f;
    read_gates(in, learned, r, h, shared.gates);
  }
  if (has_row) {
    const long long at = (static_cast<long long>(r) * in.G + key_head) * in.K + row;
    k = __ldcg(in.k_RGK + at);
    q = __ldcg(in.q_RGK + at);
    if (in.D_log_G) q -= expf(in.D_log_G[key_head]) * k;
    if (in.channels_RHK) of_channel = __bfloat162float(__ldcg(in.channels_RHK + pair * in.K + row));
  }
  float squares[2] = {q * q, k * k};
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    squares[0] += __shfl_xor_sync(0xffffffffu, squares[0], distance);
    squares[1] += __shfl_xor_sync(0xffffffffu, squares[1], distance);
  }
  if (row % 32 == 0) shared.norms[row / 32][0] = squares[0], shared.norms[row / 32][1] = squares[1];
  __syncthreads();
  if (has_row) {
    float sums[2] = {};
#pragma unroll
    for (int warp = 0; warp < kProgramWarps; ++warp)
      sums[0] += shared.norms[warp][0], sums[1] += shared.norms[warp][1];
    shared.q[row] = rounded(q * rsqrtf(sums[0] + 1e-6f) * rsqrtf(static_cast<float>(in.K)));
    shared.k[row] = rounded(k * rsqrtf(sums[1] + 1e-6f));
    if (in.channels_RHK) {
      const Quick log_alpha =
          decay_log_gate(Quick(of_channel), Quick(in.rate_log_H[h]), Quick(in.bias_HK[h * in.K + row]));
      shared.alpha[row] = expf(log_alpha.value + shared.gates[kLogAlpha]);
      shared.mu[row] = shared.alpha[row] * expf(shared.gates[kLogMu]);
    } else {
      shared.alpha[row] = expf(shared.gates[kLogAlpha]);
      shared.mu[row] = expf(shared.gates[kLogMu]);
    }
  }
  __syncthreads();
}

// `state` is that of the block's first unit, then the new one of its last, which is given (-1: it has none)
// and is still to be put: nothing waits for that.
__device__ inline int run_step(const MixerStep& in, StepShared& shared, FetchedState& state) {
  const int row = static_cast<int>(threadIdx.x) / kStepLanes, units = step_units(in);
  int head = -1, turn = 0, last = -1;
#pragma unroll 1
  for (int unit = blockIdx.x; unit < units; unit += gridDim.x) {
    const StepPlace at(in, unit);
    const long long pair = static_cast<long long>(at.r) * in.H + at.h;
    const float4 v = __ldcg(reinterpret_cast<const float4*>(in.v_RHV + pair * in.V + at.column));
    if (static_cast<int>(pair) != head) read_head(in, at.r, at.h, shared);
    head = static_cast<int>(pair);
    const float beta = shared.gates[kBeta], eta = shared.gates[kEta], share = shared.gates[kEraseShare];

    // residual = v − Σ_c p_c S_c , p = π·α∘k
    float4 residual = {rounded(v.x), rounded(v.y), rounded(v.z), rounded(v.w)};
    if (in.has_delta) {
      float4 erased = make_float4(0, 0, 0, 0);
#pragma unroll
      for (int i = 0; i < kMostStepRows; ++i) {
        const int c = row + i * kStepGroups;
        if (c < in.K) add_to(erased, share * shared.alpha[c] * shared.k[c], state.S[i]);
      }
      add_to(residual, -1, sum_rows(erased, shared.sums[turn]));
      turn ^= 1;
    }

    // M_c ← μ_c M_c − η k_c r ,  S_c ← α_c S_c − β M_c ,  o = Σ_c q_c (S_c − ω M_c)
    float4 o = make_float4(0, 0, 0, 0);
#pragma unroll
    for (int i = 0; i < kMostStepRows; ++i) {
      const int c = row + i * kStepGroups;
      if (c >= in.K) break;
      float4 written = (-eta * shared.k[c]) * residual;
      if (in.M_RHKV) add_to(written, shared.mu[c], state.M[i]);
      state.M[i] = written;
      state.S[i] = shared.alpha[c] * state.S[i];
      add_to(state.S[i], -beta, written);
      add_to(o, shared.q[c], state.S[i]);
      if (in.M_RHKV) add_to(o, -shared.q[c] * in.look_ahead, written);
    }
    last = unit;
    if (unit + static_cast<int>(gridDim.x) < units) {
      put_state(in, unit, state);
      fetch_state(in, unit + gridDim.x, state);
    }
    o = sum_rows(o, shared.sums[turn]);
    turn ^= 1;
    if (row == 0) put(in.o_RHV + pair * in.V + at.column, o);
  }
  return last;
}

}  // namespace mdnlab::ops::cuda
