// Adjoints of a chunk's scalars (recurrences.md, section 3): from the adjoints of L, A and the row factors to
// those of G, R, ā and b, and through their recurrences to the gates. No division by a gate anywhere.
#pragma once

#include "scan/cpu/coefficients.h"

namespace mdnlab::scan::cpu {
namespace {

template <class T>
struct CoefficientAdjoints {
  // As the fields of Coefficients.
  Tile<T> G;
  Tile<T> R;  // what outputs add to it (ω ≠ 0), at every t; its last row's is in rho
  T *eta, *alpha_bar, *mu_bar, *b;
  typename Coefficients<T>::RowFactors half[2];
  T* log_erase;                  // [C] of log e: e_t de_t
  T *lambda, *rho;               // [C] running adjoints of a row of G and of R
  T *log_alpha, *log_mu, *beta;  // [C] the gates' gradients, with eta

  CoefficientAdjoints(Scratch<T>& scratch, std::int64_t chunk_size) {
    for (Tile<T>* tile : {&G, &R}) *tile = scratch.tile(chunk_size, chunk_size);
    for (T** piece : {&alpha_bar, &mu_bar, &b}) *piece = scratch.take(chunk_size + 1);
    for (auto& factors : half) {
      for (T** piece : {&factors.read, &factors.erase, &factors.write}) *piece = scratch.take(chunk_size);
    }
    for (T** piece : {&eta, &log_erase, &lambda, &rho, &log_alpha, &log_mu, &beta})
      *piece = scratch.take(chunk_size);
  }
};

// Keeps the lanes of entries j … that are ≤ t, zeroes the others.
template <class T>
inline Vector<T> keep_to(std::int64_t t, std::int64_t j, Vector<T> value) {
  return lane_numbers<T>() <= Vector<T>{} + static_cast<T>(t - j) ? value : Vector<T>{};
}

// L_tj = G_tj η_j ⟨q_t,k_j⟩ with G + ωR for G. In place, dL becomes dL∘G[η], the factors of k_j in dq_t, zero
// beyond the diagonal; dG_tj = dL_tj ⟨q_t,k_j⟩ η_j, dR_tj = ω dG_tj; dη_j += Σ_t dL_tj G_tj ⟨q_t,k_j⟩.
template <class T>
void adjoint_of_L(const Coefficients<T>& c, std::int64_t count, T look_ahead, Tile<T> qk, Tile<T> dL,
                  const CoefficientAdjoints<T>& d) {
  for (std::int64_t t = 0; t < count; ++t) {
    for (std::int64_t j = 0; j <= t; j += kLanes<T>) {
      const Vector<T> dL_tj = keep_to<T>(t, j, load(dL.at(t) + j)),
                      qk_tj = keep_to<T>(t, j, load(qk.at(t) + j));
      const Vector<T> eta = load(c.eta + j), dL_G = dL_tj * load(c.G_read.at(t) + j);
      store<T>(dL.at(t) + j, dL_G * eta);
      const Vector<T> dG_tj = dL_tj * qk_tj * eta;
      store<T>(d.G.at(t) + j, dG_tj);
      if (look_ahead != 0) store<T>(d.R.at(t) + j, dG_tj * look_ahead);
      store<T>(d.eta + j, load(d.eta + j) + dL_G * qk_tj);
    }
  }
}

// −A_tj = −G_{t−1,j} η_j e_t ⟨P_t,k_j⟩. In place, dN, the adjoint of −A, becomes −dN∘G⁻[η]e, the factors of
// k_j in dP_t, zero from the diagonal on; dG_{t−1,j} −= dN_tj e_t η_j ⟨P_t,k_j⟩;
// dη_j −= Σ_t dN_tj G_{t−1,j} e_t ⟨P_t,k_j⟩; e_t de_t = Σ_j dN_tj (−A_tj).
template <class T>
void adjoint_of_minus_A(const Coefficients<T>& c, std::int64_t count, Tile<T> pk, Tile<T> dN,
                        const CoefficientAdjoints<T>& d) {
  dN.at(0)[0] = d.log_erase[0] = 0;
  for (std::int64_t t = 1; t < count; ++t) {
    Vector<T> log_erase = {};
    for (std::int64_t j = 0; j < t; j += kLanes<T>) {
      const Vector<T> dA_tj = keep_to<T>(t - 1, j, load(dN.at(t) + j)) * -c.erase[t];
      const Vector<T> pk_tj = keep_to<T>(t - 1, j, load(pk.at(t) + j));
      const Vector<T> eta = load(c.eta + j), dA_G = dA_tj * load(c.G.at(t - 1) + j), factor = dA_G * eta;
      T* dG = d.G.at(t - 1) + j;
      store<T>(dN.at(t) + j, factor);
      log_erase += factor * pk_tj;
      store<T>(dG, load(dG) + dA_tj * pk_tj * eta);
      store<T>(d.eta + j, load(d.eta + j) + dA_G * pk_tj);
    }
    dN.at(t)[t] = 0;
    d.log_erase[t] = sum<T>(log_erase);
  }
}

// From the row factors to G_C, R_C (where ρ starts), η, ā, m̄ and b. The state's own parts of dā_C, db_C and
// dm̄_C, ⟨dS⁺,S⟩, −⟨dS⁺,M⟩ and ⟨dM⁺,M⟩, are in place already.
template <class T>
void adjoint_of_row_factors(const Scan<T>& scan, const Coefficients<T>& c, std::int64_t count,
                            const CoefficientAdjoints<T>& d) {
  const T *last_G = c.G.at(count - 1), *last_R = c.R.at(count - 1);
  const auto& [S, M] = d.half;
  const T look_ahead = static_cast<T>(scan.look_ahead);
  T* d_last_G = d.G.at(count - 1);
  for (std::int64_t t = 0; t < count; ++t) {
    d.alpha_bar[t + 1] += S.read[t];
    if (scan.has_delta) {
      d.alpha_bar[t] -= c.erase[t] * S.erase[t];
      d.log_erase[t] += c.half[kS].erase[t] * S.erase[t];
    }
    d_last_G[t] += c.eta[t] * S.write[t];
    d.eta[t] += last_G[t] * S.write[t];
    if (!scan.has_momentum) continue;
    d.b[t + 1] -= M.read[t];
    d.mu_bar[t + 1] -= look_ahead * M.read[t];
    if (scan.has_delta) {
      d.b[t] += c.erase[t] * M.erase[t];
      d.log_erase[t] += c.half[kM].erase[t] * M.erase[t];
    }
    d.rho[t] = -c.eta[t] * M.write[t];
    d.eta[t] -= last_R[t] * M.write[t];
  }
  if (scan.has_momentum) std::fill(d.rho + count, d.rho + padded(count), T(0));
}

// to(:) = factor · to(:) + other(:) · other_factor up to `end`.
template <class T>
void advance(T* to, T factor, const T* other, T other_factor, std::int64_t end) {
  for (std::int64_t j = 0; j < end; j += kLanes<T>) {
    store<T>(to + j, load(to + j) * factor + load(other + j) * other_factor);
  }
}

// The recurrences backward, t = C … 1:
//   λ_j ← dG_tj + α_{t+1} λ_j      ρ_j ← dR_tj + β_t λ_j + μ_{t+1} ρ_j
//   λa ← dā_t + α_{t+1} λa      λb ← db_t + α_{t+1} λb      λm ← dm̄_t + β_t λb + μ_{t+1} λm
//   dα_t = Σ_{j<t} λ_j G_{t−1,j} + λb b_{t−1} + λa ā_{t−1}
//   dβ_t = Σ_{j≤t} λ_j R_tj + λb m̄_t
//   dμ_t = Σ_{j<t} ρ_j R_{t−1,j} + λm m̄_{t−1}
// Where p = αk, e is α too.
template <class T>
void adjoint_of_gates(const Scan<T>& scan, const Coefficients<T>& c, std::int64_t count,
                      const CoefficientAdjoints<T>& d) {
  const bool erases_by_alpha = scan.has_delta && !scan.p.data;
  std::fill_n(d.lambda, padded(count), T(0));
  double lambda_a = 0, lambda_b = 0, lambda_m = 0;
  for (std::int64_t t = count - 1; t >= 0; --t) {
    const bool last = t == count - 1;
    const T next_alpha = last ? T(0) : c.alpha[t + 1], next_mu = last ? T(1) : c.mu[t + 1];
    const std::int64_t end = vector_end<T>(t), before = std::max<std::int64_t>(t - 1, 0);
    const std::int64_t before_end = t == 0 ? 0 : vector_end<T>(before);

    advance(d.lambda, next_alpha, d.G.at(t), T(1), end);
    lambda_a = d.alpha_bar[t + 1] + next_alpha * lambda_a;
    double d_alpha = dot(d.lambda, c.G.at(before), before_end) + lambda_a * c.alpha_bar[t];
    double d_beta = d.lambda[t], d_mu = 0;
    if (scan.has_momentum) {
      advance(d.rho, next_mu, d.lambda, c.beta[t], end);
      if (scan.look_ahead != 0) advance(d.rho, T(1), d.R.at(t), T(1), end);
      lambda_b = d.b[t + 1] + next_alpha * lambda_b;
      lambda_m = d.mu_bar[t + 1] + c.beta[t] * lambda_b + next_mu * lambda_m;
      d_alpha += lambda_b * c.b[t];
      d_beta = dot(d.lambda, c.R.at(t), end) + lambda_b * c.mu_bar[t + 1];
      d_mu = dot(d.rho, c.R.at(before), before_end) + lambda_m * c.mu_bar[t];
    }
    d.log_alpha[t] = static_cast<T>(c.alpha[t] * d_alpha) + (erases_by_alpha ? d.log_erase[t] : T(0));
    d.beta[t] = static_cast<T>(d_beta);
    d.log_mu[t] = static_cast<T>(c.mu[t] * d_mu);
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
