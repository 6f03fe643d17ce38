// The adjoints of the gates of a chunk and head, from the sums that adjoints.cuh left (recurrences.md,
// section 3). A block of 128 threads takes one chunk of one head.
//
// A thread takes column j of Γ: first its recurrence forward, then its adjoint (λ, ρ) backward. What step t
// adds to the adjoints of α_t, β_t and μ_t goes where numbers were that nobody needs any more, and is summed
// over j afterwards. One more thread does the same for ā, m̄ and b. Nothing is divided, and no nearly equal
// numbers are subtracted.
#pragma once

#include "scan/cuda/coefficients.cuh"
#include "scan/cuda/problem.h"

namespace mdnlab::scan::cuda {

struct GateAdjointArguments {
  const float *log_alpha, *log_mu, *beta, *eta;  // (tokens,H), null as in scan::Inputs
  float look_ahead;
  const Chunk* chunk;
  Sizes sizes;
  const GateTerms* terms;                          // [H·chunks]
  float *d_log_alpha, *d_log_mu, *d_beta, *d_eta;  // (tokens,H), null: not wanted
};

struct GateShared {
  float within[kChunk][kChunk + 1];  // as in GateTerms; then [t][j]: of β_t, [j][t], j < t: of α_t
  float gamma[kChunk][kChunk + 1];   // G_{tj} at [t][j], R_{tj} at [j][t], j < t; then [j][t]: of μ_t
  float alpha[kChunk], mu[kChunk], beta[kChunk], eta[kChunk];
  float query_S[kChunk], query_M[kChunk], key_S[kChunk], key_M[kChunk], write_S[kChunk], write_M[kChunk];
  float a_bar[kChunk + 1], b[kChunk + 1], m_bar[kChunk + 1];  // of row t at t + 1
  float d_alpha[kChunk], d_mu[kChunk], d_beta[kChunk];        // through ā, m̄ and b
};

// Column j; returns the adjoint of η_j.
template <bool has_delta>
__device__ inline float adjoint_of_column(GateShared& shared, float look_ahead, int j) {
  float g = shared.beta[j], r = 1;
  shared.gamma[j][j] = g;
  for (int t = j + 1; t < kChunk; ++t) {
    r *= shared.mu[t];
    g = shared.alpha[t] * g + shared.beta[t] * r;
    shared.gamma[t][j] = g;
    shared.gamma[j][t] = r;
  }
  const float eta = shared.eta[j];
  float d_eta = g * shared.write_S[j] - r * shared.write_M[j];
  // What step 64 starts from: the write's share in the state after the chunk.
  float lambda = eta * shared.write_S[j], rho = -eta * shared.write_M[j];
  float key_after = 0;  // α_{t+1} (dA∘KKᵀ)_{t+1,j}
  for (int t = kChunk - 1; t > j; --t) {
    const float query = shared.within[t][j], key = has_delta ? shared.within[j][t] : 0;
    const float G = shared.gamma[t][j], R = shared.gamma[j][t], alpha = shared.alpha[t], mu = shared.mu[t];
    const float G_before = shared.gamma[t - 1][j], R_before = t - 1 == j ? 1 : shared.gamma[j][t - 1];
    lambda += eta * (query + key_after);
    rho += look_ahead * eta * query + shared.beta[t] * lambda;
    d_eta += query * (G + look_ahead * R) + alpha * key * G_before;
    shared.within[t][j] = lambda * R;
    shared.within[j][t] = (lambda + eta * key) * G_before;
    shared.gamma[j][t] = rho * R_before;
    lambda *= alpha;
    rho *= mu;
    key_after = alpha * key;
  }
  const float query = shared.within[j][j];
  lambda += eta * (query + key_after);
  shared.within[j][j] = lambda;
  return d_eta + query * (shared.beta[j] + look_ahead);
}

// ā, m̄ and b.
__device__ inline void adjoint_of_prefixes(GateShared& shared, const GateTerms& terms, float look_ahead) {
  float a_bar = 1, b = 0, m_bar = 1;
  for (int t = 0; t < kChunk; ++t) {
    shared.a_bar[t] = a_bar;
    shared.b[t] = b;
    shared.m_bar[t] = m_bar;
    a_bar *= shared.alpha[t];
    m_bar *= shared.mu[t];
    b = shared.alpha[t] * b + shared.beta[t] * m_bar;
  }
  shared.m_bar[kChunk] = m_bar;
  float d_a_bar = terms.S_S, d_b = -terms.S_M, d_m_bar = terms.M_M;
  for (int t = kChunk - 1; t >= 0; --t) {
    const float alpha = shared.alpha[t], key_S = shared.key_S[t], key_M = shared.key_M[t],
                query_M = shared.query_M[t];
    d_a_bar += shared.query_S[t];
    d_b -= query_M;
    d_m_bar += shared.beta[t] * d_b - look_ahead * query_M;
    // ⟨dp_t, k_t⟩ = −ā_{t−1} key_S + b_{t−1} key_M: what r_t reads of the state through p = αk.
    shared.d_alpha[t] = (d_b + key_M) * shared.b[t] + (d_a_bar - key_S) * shared.a_bar[t];
    shared.d_beta[t] = d_b * shared.m_bar[t + 1];
    shared.d_mu[t] = d_m_bar * shared.m_bar[t];
    d_a_bar = alpha * (d_a_bar - key_S);
    d_b = alpha * (d_b + key_M);
    d_m_bar *= shared.mu[t];
  }
}

template <bool has_delta, bool has_momentum>
__global__ __launch_bounds__(kWarpgroup) void gate_adjoints(const __grid_constant__ GateAdjointArguments in) {
  __shared__ GateShared shared;
  const int thread = threadIdx.x, t = thread % kChunk, head = blockIdx.y;
  const Chunk chunk = in.chunk[blockIdx.x];
  const GateTerms& terms = in.terms[std::int64_t{head} * in.sizes.chunks + blockIdx.x];
  const std::int64_t at = (std::int64_t{chunk.token} + t) * in.sizes.heads + head;
  load_gates(shared, in, chunk, head, thread);
  for (int i = thread; i < kChunk * kChunk; i += kWarpgroup)
    shared.within[i / kChunk][i % kChunk] = (&terms.within[0][0])[i];
  for (int i = thread; i < 6 * kChunk; i += kWarpgroup) (&shared.query_S[0])[i] = (&terms.query_S[0])[i];
  __syncthreads();
  if (thread < kChunk) {
    const float d_eta = adjoint_of_column<has_delta>(shared, in.look_ahead, t);
    if (in.d_eta && t < chunk.rows) in.d_eta[at] = d_eta;
  } else if (thread == kChunk) {
    adjoint_of_prefixes(shared, terms, in.look_ahead);
  }
  __syncthreads();
  if (t >= chunk.rows) return;
  if (thread < kChunk) {
    float d_beta = shared.d_beta[t], d_mu = shared.d_mu[t];
    for (int j = 0; j <= t; ++j) d_beta += shared.within[t][j];
    if (in.d_beta) in.d_beta[at] = d_beta;
    if constexpr (has_momentum) {
      for (int j = 0; j < t; ++j) d_mu += shared.gamma[j][t];
      if (in.d_log_mu) in.d_log_mu[at] = shared.mu[t] * d_mu;
    }
  } else if (in.d_log_alpha) {
    float d_alpha = shared.d_alpha[t];
    for (int j = 0; j < t; ++j) d_alpha += shared.within[j][t];
    in.d_log_alpha[at] = shared.alpha[t] * d_alpha;
  }
}

}  // namespace mdnlab::scan::cuda
