// Adjoints of a chunk's scalars (recurrences.md, section 3): from the adjoints of L and A to those of G and
// η, and through the recurrences of G, R, ā, m̄ and b to the gates. No division by a gate anywhere.
#pragma once

#include "scan/cpu/coefficients.h"

namespace mdnlab::scan::cpu {
namespace {

template <class T>
struct CoefficientAdjoints {
  T* G;                                                        // [C, padded(C)], as Coefficients::G
  T* lambda;                                                   // [padded(C)] running adjoint of a row of G
  T* rho;                                                      // [padded(C)] of a row of R
  T *alpha_bar, *b;                                            // [C+1], as in Coefficients
  T* mu_bar_end;                                               // [1], of m̄ after the last token
  T *read_S, *read_M, *erase_S, *erase_M, *write_S, *write_M;  // [C], of the row factors
  T* eta;                                                      // [padded(C)]
  T *log_alpha, *log_mu, *beta;                                // [C]

  CoefficientAdjoints(Scratch<T>& scratch, std::int64_t chunk_size) {
    G = scratch.take(chunk_size * padded(chunk_size));
    for (T** piece : {&lambda, &rho, &read_S, &read_M, &erase_S, &erase_M, &write_S, &write_M, &eta,
                      &log_alpha, &log_mu, &beta}) {
      *piece = scratch.take(padded(chunk_size));
    }
    for (T** piece : {&alpha_bar, &b}) *piece = scratch.take(chunk_size + 1);
    mu_bar_end = scratch.take(1);
  }
};

// j ≤ t, lane by lane.
template <class T>
inline auto lanes_to(std::int64_t j, std::int64_t t) {
  Vector<T> index;
  for (int lane = 0; lane < kLanes<T>; ++lane) index[lane] = static_cast<T>(lane);
  return index <= (Vector<T>{} + static_cast<T>(t - j));
}

// L_tj = G_tj η_j ⟨q_t,k_j⟩: dL becomes, in place, the factor (dL∘G[η])_tj of k_j in dq_t, zero beyond the
// diagonal; dG_tj = dL_tj ⟨q_t,k_j⟩ η_j; dη_j += Σ_t dL_tj G_tj ⟨q_t,k_j⟩.
template <class T>
void adjoint_of_L(const Coefficients<T>& c, const T* qk, std::int64_t count, std::int64_t row, T* dL,
                  const CoefficientAdjoints<T>& d) {
  for (std::int64_t t = 0; t < count; ++t) {
    for (std::int64_t j = 0; j <= t; j += kLanes<T>) {
      const auto inside = lanes_to<T>(j, t);
      const std::int64_t at = t * row + j;
      const Vector<T> dL_tj = inside ? load(dL + at) : Vector<T>{},
                      qk_tj = inside ? load(qk + at) : Vector<T>{};
      const Vector<T> G = load(c.G + at), eta = load(c.eta + j), dL_G = dL_tj * G;
      store<T>(dL + at, dL_G * eta);
      store<T>(d.G + at, dL_tj * qk_tj * eta);
      store<T>(d.eta + j, load(d.eta + j) + dL_G * qk_tj);
    }
  }
}

// −A_tj = −G_{t−1,j} η_j e_t ⟨P_t,k_j⟩: dN, the adjoint of −A, becomes the factor (dA∘G⁻[η] e)_tj of k_j in
// dP_t, zero from the diagonal on; dG_{t−1,j} += dA_tj ⟨P_t,k_j⟩ e_t η_j; dη_j += Σ_t dA_tj G_{t−1,j} e_t
// ⟨P_t,k_j⟩.
template <class T>
void adjoint_of_A(const Coefficients<T>& c, const T* pk, std::int64_t count, std::int64_t row, T* dN,
                  const CoefficientAdjoints<T>& d) {
  std::fill_n(dN, vector_end<T>(0), T(0));
  for (std::int64_t t = 1; t < count; ++t) {
    for (std::int64_t j = 0; j <= t; j += kLanes<T>) {
      const auto inside = lanes_to<T>(j, t - 1);
      const std::int64_t at = t * row + j;
      if (j == t) {  // a vector of its own: the row before ends at the vector before
        store<T>(dN + at, Vector<T>{});
        continue;
      }
      const Vector<T> dA = (inside ? load(dN + at) : Vector<T>{}) * -c.erase[t];
      const Vector<T> pk_tj = inside ? load(pk + at) : Vector<T>{};
      const Vector<T> eta = load(c.eta + j), dA_G = dA * load(c.G + at - row);
      store<T>(dN + at, dA_G * eta);
      store<T>(d.G + at - row, load(d.G + at - row) + dA * pk_tj * eta);
      store<T>(d.eta + j, load(d.eta + j) + dA_G * pk_tj);
    }
  }
}

// From the adjoints of the row factors to those of G_C, R_C (where ρ starts), η, ā and b. The state's own
// part, ⟨dS⁺,S⟩ and so on, is in dā_C, db_C and dm̄_C already.
template <class T>
void adjoint_of_row_factors(const Coefficients<T>& c, std::int64_t count, std::int64_t row, bool has_momentum,
                            bool has_delta, const CoefficientAdjoints<T>& d) {
  const std::int64_t last = (count - 1) * row;
  for (std::int64_t t = 0; t < count; ++t) {
    d.alpha_bar[t + 1] += d.read_S[t];
    if (has_delta) d.alpha_bar[t] -= c.erase[t] * d.erase_S[t];
    d.G[last + t] += c.eta[t] * d.write_S[t];
    d.eta[t] += c.G[last + t] * d.write_S[t];
    if (!has_momentum) continue;
    d.b[t + 1] -= d.read_M[t];
    if (has_delta) d.b[t] += c.erase[t] * d.erase_M[t];
    d.rho[t] = -c.eta[t] * d.write_M[t];
    d.eta[t] -= c.R[last + t] * d.write_M[t];
  }
  if (has_momentum) std::fill(d.rho + count, d.rho + padded(count), T(0));
}

// The recurrences backward, t = C … 1:
//   λ_j ← dG_tj + α_{t+1} λ_j      ρ_j ← (dR_Cj at C) + β_t λ_j + μ_{t+1} ρ_j
//   dα_t = Σ_{j<t} λ_j G_{t−1,j} + λb b_{t−1} + λa ā_{t−1}
//   dβ_t = Σ_{j≤t} λ_j R_tj + λb m̄_t
//   dμ_t = Σ_{j<t} ρ_j R_{t−1,j} + λm m̄_{t−1}
// d.log_alpha holds ⟨dP_t, p_t⟩ where p = αk; dα_t α_t is added to it.
template <class T>
void adjoint_of_gates(const Coefficients<T>& c, std::int64_t count, std::int64_t row, bool has_momentum,
                      const CoefficientAdjoints<T>& d) {
  std::fill_n(d.lambda, padded(count), T(0));
  double lambda_a = d.alpha_bar[count], lambda_b = d.b[count], lambda_m = *d.mu_bar_end;
  for (std::int64_t t = count - 1; t >= 0; --t) {
    const bool last = t == count - 1;
    const T next_alpha = last ? T(0) : c.alpha[t + 1], next_mu = last ? T(1) : c.mu[t + 1];
    if (!last) {
      lambda_a = d.alpha_bar[t + 1] + next_alpha * lambda_a;
      lambda_b = d.b[t + 1] + next_alpha * lambda_b;
    }
    const std::int64_t end = vector_end<T>(t), old_end = t == 0 ? 0 : vector_end<T>(t - 1);
    for (std::int64_t j = 0; j < end; j += kLanes<T>) {
      store<T>(d.lambda + j, load(d.G + t * row + j) + load(d.lambda + j) * next_alpha);
    }
    double d_alpha = dot(d.lambda, c.G + (t - 1) * row, old_end) + lambda_a * c.alpha_bar[t];
    double d_beta = d.lambda[t], d_mu = 0;
    if (has_momentum) {
      for (std::int64_t j = 0; j < end; j += kLanes<T>) {
        store<T>(d.rho + j, load(d.rho + j) * next_mu + load(d.lambda + j) * c.beta[t]);
      }
      lambda_m = c.beta[t] * lambda_b + next_mu * lambda_m;
      d_alpha += lambda_b * c.b[t];
      d_beta = dot(d.lambda, c.R + t * row, end) + lambda_b * c.mu_bar[t + 1];
      d_mu = dot(d.rho, c.R + (t - 1) * row, old_end) + lambda_m * c.mu_bar[t];
    }
    d.log_alpha[t] += static_cast<T>(c.alpha[t] * d_alpha);
    d.beta[t] = static_cast<T>(d_beta);
    d.log_mu[t] = static_cast<T>(c.mu[t] * d_mu);
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
