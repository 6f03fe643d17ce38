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
  const GateTerms* terms;  // [chunks·H][parts], to be summed
  int parts;
  float *d_log_alpha, *d_log_mu, *d_beta, *d_eta;  // (tokens,H), null: not wanted
};

// A matrix that is not there where without momentum and delta half of `within` is free: G_{tj} is at [j][t].
template <bool is_there>
struct GammaMatrix {
  float gamma[kChunk][kChunk + 1];  // G_{tj} at [t][j], R_{tj} at [j][t], j < t; then [j][t]: of μ_t
};
template <>
struct GammaMatrix<false> {};

template <bool has_gamma>
struct GateShared : GammaMatrix<has_gamma> {
  float within[kChunk][kChunk + 1];  // as in GateTerms; then [t][j]: of β_t, [j][t], j < t: of α_t
  float alpha[kChunk], mu[kChunk], beta[kChunk], eta[kChunk];
  float query_S[kChunk], query_M[kChunk], key_S[kChunk], key_M[kChunk], write_S[kChunk], write_M[kChunk];
  float S_S, S_M, M_M;                                        // these nine as in GateTerms
  float a_bar[kChunk + 1], b[kChunk + 1], m_bar[kChunk + 1];  // of row t at t + 1
  float d_alpha[kChunk], d_mu[kChunk], d_beta[kChunk];        // through ā, m̄ and b
};

// Loops over tokens take them in runs whose numbers are all read before any is written: else each step would
// wait for shared memory.
constexpr int kRun = 8;

// to[i] = from[i · stride] for i ≥ begin: what is before may be another thread's.
__device__ inline void load_run(float (&to)[kRun], const float* from, int stride = 1, int begin = 0) {
#pragma unroll
  for (int i = 0; i < kRun; ++i) to[i] = i >= begin ? from[i * stride] : 0;
}

// Column j; returns the adjoint of η_j. Without momentum R_{tj} is 0 but for t = j.
template <bool has_delta, bool has_momentum>
__device__ inline float adjoint_of_column(GateShared<has_delta || has_momentum>& shared, float look_ahead,
                                          int j) {
  constexpr bool has_gamma = has_delta || has_momentum;
  constexpr int row = kChunk + 1;  // from one row of `within` or `gamma` to the next
  const auto gamma_at = [&](int t) -> float& {
    if constexpr (has_gamma) return shared.gamma[t][j];
    return shared.within[j][t];
  };
  const float eta = shared.eta[j], beta_of_j = shared.beta[j];
  float g = 0, r = 1;
  for (int first = j / kRun * kRun; first < kChunk; first += kRun) {
    float alpha[kRun], mu[kRun], beta[kRun];
    load_run(alpha, shared.alpha + first);
    if constexpr (has_momentum) {
      load_run(mu, shared.mu + first);
      load_run(beta, shared.beta + first);
    }
#pragma unroll
    for (int i = 0; i < kRun; ++i) {
      const int t = first + i;
      if (t < j) continue;
      if constexpr (has_momentum) {
        if (t > j) r *= mu[i];
        g = alpha[i] * g + beta[i] * r;
      } else {
        g = t == j ? beta_of_j : alpha[i] * g;
      }
      if (has_gamma || t > j) gamma_at(t) = g;
      if constexpr (has_momentum) {
        if (t > j) shared.gamma[j][t] = r;
      }
    }
  }
  float d_eta = g * shared.write_S[j];
  // What step 64 starts from: the write's share in the state after the chunk.
  float lambda = eta * shared.write_S[j], rho = 0;
  if constexpr (has_momentum) {
    d_eta -= r * shared.write_M[j];
    rho = -eta * shared.write_M[j];
  }
  float key_after = 0;  // α_{t+1} (dA∘KKᵀ)_{t+1,j}
  for (int first = kChunk - kRun; first >= j / kRun * kRun; first -= kRun) {
    float alpha[kRun], mu[kRun], beta[kRun], query[kRun], key[kRun]{}, G[kRun], R[kRun]{};
    load_run(alpha, shared.alpha + first);
    load_run(beta, shared.beta + first);
    const int begin = j - first;
    load_run(query, &shared.within[first][j], row, begin);
    if constexpr (has_delta) load_run(key, &shared.within[j][first], 1, begin);
    load_run(G, &gamma_at(first), has_gamma ? row : 1, begin);
    if constexpr (has_momentum) {
      load_run(mu, shared.mu + first);
      load_run(R, &shared.gamma[j][first], 1, begin);
    }
    const bool has_before = first > j;  // the row before the run
    const float G_first = has_before ? gamma_at(first - 1) : 0;
    float R_first = 0;
    if constexpr (has_momentum) R_first = has_before ? shared.gamma[j][first - 1] : 0;
#pragma unroll
    for (int i = kRun - 1; i >= 0; --i) {
      const int t = first + i;
      if (t < j) continue;
      lambda += eta * (has_delta ? query[i] + key_after : query[i]);
      if (t == j) {
        shared.within[j][j] = lambda;
        d_eta += query[i] * (beta[i] + look_ahead);
        continue;
      }
      const float G_before = !has_gamma && t - 1 == j ? beta_of_j : i > 0 ? G[i > 0 ? i - 1 : 0] : G_first;
      d_eta += query[i] * (has_momentum ? G[i] + look_ahead * R[i] : G[i]);
      if constexpr (has_delta) d_eta += alpha[i] * key[i] * G_before;
      shared.within[j][t] = (has_delta ? lambda + eta * key[i] : lambda) * G_before;
      if constexpr (has_momentum) {
        const float R_before = t - 1 == j ? 1 : i > 0 ? R[i > 0 ? i - 1 : 0] : R_first;
        rho += look_ahead * eta * query[i] + beta[i] * lambda;
        shared.within[t][j] = lambda * R[i];
        shared.gamma[j][t] = rho * R_before;
        rho *= mu[i];
      }
      lambda *= alpha[i];
      key_after = alpha[i] * key[i];
    }
  }
  return d_eta;
}

// ā, m̄ and b; without momentum b and m̄ are 0.
template <bool has_momentum, class Shared>
__device__ inline void adjoint_of_prefixes(Shared& shared, float look_ahead) {
  float a_bar = 1, b = 0, m_bar = 1;
  for (int first = 0; first < kChunk; first += kRun) {
    float alpha[kRun], mu[kRun], beta[kRun];
    load_run(alpha, shared.alpha + first);
    if constexpr (has_momentum) {
      load_run(mu, shared.mu + first);
      load_run(beta, shared.beta + first);
    }
#pragma unroll
    for (int i = 0; i < kRun; ++i) {
      shared.a_bar[first + i] = a_bar;
      a_bar *= alpha[i];
      if constexpr (has_momentum) {
        shared.b[first + i] = b;
        shared.m_bar[first + i] = m_bar;
        m_bar *= mu[i];
        b = alpha[i] * b + beta[i] * m_bar;
      }
    }
  }
  if constexpr (has_momentum) shared.m_bar[kChunk] = m_bar;
  float d_a_bar = shared.S_S, d_b = -shared.S_M, d_m_bar = shared.M_M;
  for (int first = kChunk - kRun; first >= 0; first -= kRun) {
    float alpha[kRun], mu[kRun], beta[kRun], query_S[kRun], query_M[kRun], key_S[kRun], key_M[kRun];
    float a_bars[kRun], bs[kRun], m_bars[kRun], m_bar_after = 0;
    load_run(alpha, shared.alpha + first);
    load_run(query_S, shared.query_S + first);
    load_run(key_S, shared.key_S + first);
    load_run(a_bars, shared.a_bar + first);
    if constexpr (has_momentum) {
      load_run(mu, shared.mu + first);
      load_run(beta, shared.beta + first);
      load_run(query_M, shared.query_M + first);
      load_run(key_M, shared.key_M + first);
      load_run(bs, shared.b + first);
      load_run(m_bars, shared.m_bar + first);
      m_bar_after = shared.m_bar[first + kRun];
    }
#pragma unroll
    for (int i = kRun - 1; i >= 0; --i) {
      d_a_bar += query_S[i];
      // ⟨dp_t, k_t⟩ = −ā_{t−1} key_S + b_{t−1} key_M: what r_t reads of the state through p = αk.
      float d_alpha = (d_a_bar - key_S[i]) * a_bars[i];
      d_a_bar = alpha[i] * (d_a_bar - key_S[i]);
      if constexpr (has_momentum) {
        d_b -= query_M[i];
        d_m_bar += beta[i] * d_b - look_ahead * query_M[i];
        d_alpha += (d_b + key_M[i]) * bs[i];
        shared.d_beta[first + i] = d_b * m_bar_after;
        shared.d_mu[first + i] = d_m_bar * m_bars[i];
        m_bar_after = m_bars[i];
        d_b = alpha[i] * (d_b + key_M[i]);
        d_m_bar *= mu[i];
      }
      shared.d_alpha[first + i] = d_alpha;
    }
  }
}

template <bool has_delta, bool has_momentum>
__global__ __launch_bounds__(kWarpgroup, has_delta || has_momentum ? 5 : 6) void gate_adjoints(
    const __grid_constant__ GateAdjointArguments in) {
  __shared__ GateShared<has_delta || has_momentum> shared;
  const int thread = threadIdx.x, t = thread % kChunk, head = blockIdx.y;
  const Chunk chunk = in.chunk[blockIdx.x];
  const GateTerms* const terms = in.terms + in.sizes.entry(blockIdx.x, head) * in.parts;
  const std::int64_t at = (std::int64_t{chunk.token} + t) * in.sizes.heads + head;
  float4 within[kChunk * kChunk / 4 / kWarpgroup];
#pragma unroll
  for (int i = 0; i < 8; ++i)
    within[i] = reinterpret_cast<const float4*>(terms->within)[i * kWarpgroup + thread];
  for (int part = 1; part < in.parts; ++part) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const float4 more = reinterpret_cast<const float4*>(terms[part].within)[i * kWarpgroup + thread];
      within[i].x += more.x, within[i].y += more.y, within[i].z += more.z, within[i].w += more.w;
    }
  }
  for (int i = thread; i < 6 * kChunk + 3; i += kWarpgroup) {
    float sum = (&terms->query_S[0])[i];
    for (int part = 1; part < in.parts; ++part) sum += (&terms[part].query_S[0])[i];
    (&shared.query_S[0])[i] = sum;
  }
  load_gates(shared, in, chunk, head, thread);
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int quad = i * kWarpgroup + thread;
    float* const to = &shared.within[quad / 16][quad % 16 * 4];
    to[0] = within[i].x, to[1] = within[i].y, to[2] = within[i].z, to[3] = within[i].w;
  }
  __syncthreads();
  if (thread < kChunk) {
    const float d_eta = adjoint_of_column<has_delta, has_momentum>(shared, in.look_ahead, t);
    if (in.d_eta && t < chunk.rows) in.d_eta[at] = d_eta;
  } else if (thread == kChunk) {
    adjoint_of_prefixes<has_momentum>(shared, in.look_ahead);
  }
  __syncthreads();
  if (t >= chunk.rows) return;
  if (thread < kChunk) {
    float d_beta = shared.within[t][t];
    if constexpr (has_momentum) {
      d_beta += shared.d_beta[t];
      for (int j = 0; j < t; ++j) d_beta += shared.within[t][j];
    }
    if (in.d_beta) in.d_beta[at] = d_beta;
    if constexpr (has_momentum) {
      float d_mu = shared.d_mu[t];
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
