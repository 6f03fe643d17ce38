// Γ, the coefficients G and R of a chunk's past writes (recurrences.md, section 2), and those of its state,
// by 128 threads in shared memory.
//
// Γ comes in blocks of 16 tokens: within a block by its recurrence, and for a column before the block from
// the last rows (g, r) of the block before: G_t = ā_t g + b_t r, R_t = m̄_t r, with ā, b, m̄ run from the
// block's start. Only products and sums of positive terms.
#pragma once

#include "scan/cuda/problem.h"
#include "scan/cuda/sm90.cuh"

namespace mdnlab::scan::cuda {

constexpr int kBlock = 16;  // tokens of a block

struct Gamma {
  float within_G[kChunk][kBlock + 1];                      // G_{tj} of t in j's block, at [j][t mod 16]
  float within_O[kChunk][kBlock + 1];                      // G + ωR likewise, unless ω = 0
  alignas(16) float last_G[4][kChunk], last_R[4][kChunk];  // rows 15, 31, 47, 63
  alignas(16) float alpha[kChunk], mu[kChunk], beta[kChunk], eta[kChunk];
  float a_bar[kChunk], b[kChunk], m_bar[kChunk];  // run from the start of t's block
};

// The gates of `chunk`, from in.log_alpha, log_mu, beta and eta: (tokens, H), null as in scan::Inputs.
// Whether those that this thread brings of row thread % 64 are finite.
template <class Gates, class Arguments>
__device__ inline bool load_gates(Gates& gamma, const Arguments& in, Chunk chunk, int head, int thread) {
  const int row = thread % kChunk;
  const bool is_token = row < chunk.rows, is_first = thread < kChunk;
  const std::int64_t at = (std::int64_t{chunk.token} + row) * in.sizes.heads + head;
  const float* const log_gate = is_first ? in.log_alpha : in.log_mu;
  const float* const rate = is_first ? in.beta : in.eta;
  float gate = 0, step = 1;
  if (is_token && log_gate) gate = log_gate[at];
  if (is_token && rate) step = rate[at];
  gate = expf(gate);
  if (!is_first && !log_gate) gate = 0;
  (is_first ? gamma.alpha : gamma.mu)[row] = gate;
  (is_first ? gamma.beta : gamma.eta)[row] = is_token ? step : 0.0f;
  return isfinite(gate) && isfinite(step);
}

// Sixteen adjacent floats.
__device__ inline void load_block(float (&to)[kBlock], const float* from) {
#pragma unroll
  for (int i = 0; i < kBlock; i += 4)
    *reinterpret_cast<float4*>(&to[i]) = *reinterpret_cast<const float4*>(from + i);
}

// All but the gates of `gamma`, and the coefficients of the chunk. `wait_for_others` is a barrier of the 128
// threads.
template <class Barrier>
__device__ inline void coefficients(Gamma& gamma, Coefficients& out, float look_ahead, int thread,
                                    Barrier&& wait_for_others) {
  const int t = thread % kChunk, block = t / kBlock, start = block * kBlock;
  float alpha[kBlock], mu[kBlock], beta[kBlock];
  load_block(alpha, gamma.alpha + start);
  load_block(mu, gamma.mu + start);
  load_block(beta, gamma.beta + start);
  if (thread < kChunk) {  // column j = t within its block
    float r = 1, g = 0;
#pragma unroll
    for (int i = 0; i < kBlock; ++i) {
      if (i == t % kBlock) {
        g = beta[i];
      } else if (i > t % kBlock) {
        r *= mu[i];
        g = alpha[i] * g + beta[i] * r;
      }
      gamma.within_G[t][i] = g;
      if (look_ahead != 0) gamma.within_O[t][i] = g + look_ahead * r;
    }
    gamma.last_G[block][t] = g;
    gamma.last_R[block][t] = r;
  } else {  // row t
    float a_bar = 1, b = 0, m_bar = 1;
#pragma unroll
    for (int i = 0; i < kBlock; ++i) {
      if (i > t % kBlock) continue;
      a_bar *= alpha[i];
      m_bar *= mu[i];
      b = alpha[i] * b + beta[i] * m_bar;
    }
    gamma.a_bar[t] = a_bar;
    gamma.b[t] = b;
    gamma.m_bar[t] = m_bar;
  }
  wait_for_others();
  if (thread < kChunk) {
    float g = gamma.last_G[block][t], r = gamma.last_R[block][t];
    for (int next = block + 1; next < kChunk / kBlock; ++next) {
      const int last = next * kBlock + kBlock - 1;
      g = gamma.a_bar[last] * g + gamma.b[last] * r;
      r *= gamma.m_bar[last];
      gamma.last_G[next][t] = g;
      gamma.last_R[next][t] = r;
    }
    out.write_S[t] = g * gamma.eta[t];
    out.write_M[t] = r * gamma.eta[t];
  } else {
    float a_bar = 1, b = 0, m_bar = 1;  // up to the block's start
    for (int last = kBlock - 1; last < start; last += kBlock) {
      b = gamma.a_bar[last] * b + gamma.b[last] * m_bar;
      a_bar *= gamma.a_bar[last];
      m_bar *= gamma.m_bar[last];
    }
    const float b_before = t == start ? b : gamma.a_bar[t - 1] * b + gamma.b[t - 1] * m_bar;
    b = gamma.a_bar[t] * b + gamma.b[t] * m_bar;
    a_bar *= gamma.a_bar[t];
    m_bar *= gamma.m_bar[t];
    out.read_S[t] = a_bar;
    out.read_M[t] = gamma.alpha[t] * b_before;
    out.out_S[t] = a_bar;
    out.out_M[t] = b + look_ahead * m_bar;
    if (t == kChunk - 1) {
      out.keep_S = a_bar;
      out.cross = b;
      out.keep_M = m_bar;
    }
  }
  wait_for_others();
}

// Row t of Γ: what w_j counts for in o_t, G_{tj} + ωR_{tj} for j ≤ t, and in r_t, G_{t−1,j} for j < t; 0
// elsewhere.
struct GammaRow {
  const Gamma& gamma;
  float look_ahead;
  int t;
  float a_bar, b, m_bar, a_before, b_before;  // run from the start of t's block, to t and to t−1

  __device__ GammaRow(const Gamma& gamma, float look_ahead, int t)
      : gamma(gamma),
        look_ahead(look_ahead),
        t(t),
        a_bar(gamma.a_bar[t]),
        b(gamma.b[t]),
        m_bar(gamma.m_bar[t]) {
    const bool is_first = t % kBlock == 0;
    a_before = is_first ? 1 : gamma.a_bar[t - 1];
    b_before = is_first ? 0 : gamma.b[t - 1];
  }
  struct Entry {
    float out, before;
  };
  __device__ Entry operator[](int j) const {
    const int block = t / kBlock, block_of_j = j / kBlock;
    if (block_of_j < block) {
      const float g = gamma.last_G[block - 1][j], r = gamma.last_R[block - 1][j];
      return {a_bar * g + b * r + look_ahead * (m_bar * r), a_before * g + b_before * r};
    }
    if (block_of_j > block || j > t) return {0, 0};
    return {(look_ahead == 0 ? gamma.within_G : gamma.within_O)[j][t % kBlock],
            j < t ? gamma.within_G[j][t % kBlock - 1] : 0};
  }
};

}  // namespace mdnlab::scan::cuda
