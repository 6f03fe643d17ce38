// The scalars of one chunk and head: gates, their products, G and R, and the row factors of D, Q̂ and Ψ.
//
// α_t and μ_t are exp of the log-gates; ā, m̄ and b run in double within the chunk, so they do not drift. G
// and R are built by their recurrences of positive terms: no difference of exponentials, no division by a
// gate.
#pragma once

#include <math.h>

#include "scan/cpu/tile.h"

namespace mdnlab::scan::cpu {
namespace {

template <class T>
struct Coefficients {
  // [C]: the token's own
  T *alpha, *mu, *beta, *eta;
  T* erase;  // what multiplies the rows of the tile P: α where p = αk and the tile holds k, else 1
  // [C+1]: [t] before token t, [t+1] after it
  T *alpha_bar, *mu_bar, *b;
  // [C]: factors of rows
  T *read_S, *read_M;    // Q̂ = [read_S∘Q, read_M∘Q]
  T *erase_S, *erase_M;  // −D = [erase_S∘P, erase_M∘P]
  T *write_S, *write_M;  // Ψ = [write_S∘K, write_M∘K]
  // [C, padded(C)]: row t, zero for j > t as far as the vector that holds j = t
  T *G, *R;

  Coefficients(Scratch<T>& scratch, std::int64_t chunk_size, bool has_momentum) {
    for (T** piece :
         {&alpha, &mu, &beta, &eta, &erase, &read_S, &read_M, &erase_S, &erase_M, &write_S, &write_M}) {
      *piece = scratch.take(chunk_size);
    }
    for (T** piece : {&alpha_bar, &mu_bar, &b}) *piece = scratch.take(chunk_size + 1);
    G = scratch.take(chunk_size * padded(chunk_size));
    R = scratch.take_if(has_momentum, chunk_size * padded(chunk_size));
  }
};

// The end of the vector that holds entry t.
template <class T>
constexpr std::int64_t vector_end(std::int64_t t) {
  return (t / kLanes<T> + 1) * kLanes<T>;
}

// G_tj = α_t G_{t−1,j} + β_t R_tj, G_jj = β_j; R_tj = μ_t R_{t−1,j}, R_jj = 1 (without momentum R = [t = j]).
template <class T>
void build_G_and_R(const Coefficients<T>& c, std::int64_t count, std::int64_t row, bool has_momentum) {
  for (std::int64_t t = 0; t < count; ++t) {
    T *G = c.G + t * row, *R = has_momentum ? c.R + t * row : nullptr;
    const std::int64_t end = vector_end<T>(t), old_end = t == 0 ? 0 : vector_end<T>(t - 1);
    std::fill(G + old_end, G + end, T(0));
    for (std::int64_t j = 0; j < old_end; j += kLanes<T>) store<T>(G + j, load(G - row + j) * c.alpha[t]);
    if (!has_momentum) {
      G[t] = c.beta[t];
      continue;
    }
    std::fill(R + old_end, R + end, T(0));
    for (std::int64_t j = 0; j < old_end; j += kLanes<T>) store<T>(R + j, load(R - row + j) * c.mu[t]);
    R[t] = 1;
    for (std::int64_t j = 0; j < end; j += kLanes<T>) store<T>(G + j, load(G + j) + load(R + j) * c.beta[t]);
  }
}

template <class T>
void compute_coefficients(const Scan<T>& scan, std::int64_t first_token, std::int64_t count,
                          std::int64_t head, const Coefficients<T>& c) {
  const std::int64_t row = padded(scan.chunk_size);
  const auto gate = [&](const T* values, std::int64_t t) {
    return values[(first_token + t) * scan.heads + head];
  };
  double alpha_bar = 1, mu_bar = 1, b = 0;
  c.alpha_bar[0] = c.mu_bar[0] = 1;
  c.b[0] = 0;
  for (std::int64_t t = 0; t < count; ++t) {
    const double alpha = scan.log_alpha ? ::exp(static_cast<double>(gate(scan.log_alpha, t))) : 1.0;
    const double beta = scan.beta ? static_cast<double>(gate(scan.beta, t)) : 1.0;
    const double mu = scan.has_momentum ? ::exp(static_cast<double>(gate(scan.log_mu, t))) : 0.0;
    alpha_bar *= alpha;
    mu_bar *= mu;
    b = alpha * b + beta * mu_bar;
    c.alpha[t] = static_cast<T>(alpha);
    c.mu[t] = static_cast<T>(mu);
    c.beta[t] = static_cast<T>(beta);
    c.eta[t] = scan.eta ? gate(scan.eta, t) : T(1);
    c.alpha_bar[t + 1] = static_cast<T>(alpha_bar);
    c.mu_bar[t + 1] = static_cast<T>(mu_bar);
    c.b[t + 1] = static_cast<T>(b);
  }
  build_G_and_R(c, count, row, scan.has_momentum);
  for (std::int64_t t = 0; t < count; ++t) {
    c.erase[t] = scan.p.data ? T(1) : c.alpha[t];
    c.read_S[t] = c.alpha_bar[t + 1];
    c.read_M[t] = -c.b[t + 1];
    c.erase_S[t] = -c.erase[t] * c.alpha_bar[t];
    c.erase_M[t] = c.erase[t] * c.b[t];
    c.write_S[t] = c.G[(count - 1) * row + t] * c.eta[t];
    c.write_M[t] = scan.has_momentum ? -c.R[(count - 1) * row + t] * c.eta[t] : T(0);
  }
}

// L_tj = G_tj η_j ⟨q_t,k_j⟩ for j ≤ t, in place of the products. Entries beyond the diagonal may hold
// anything.
template <class T>
void form_L(const Coefficients<T>& c, std::int64_t count, std::int64_t row, T* L) {
  for (std::int64_t t = 0; t < count; ++t) {
    for (std::int64_t j = 0; j <= t; j += kLanes<T>) {
      T* entry = L + t * row + j;
      store<T>(entry, load(entry) * load(c.G + t * row + j) * load(c.eta + j));
    }
  }
}

// −A_tj = −G_{t−1,j} η_j ⟨p_t,k_j⟩ for j < t, in place of the products ⟨P_t,k_j⟩.
template <class T>
void form_minus_A(const Coefficients<T>& c, std::int64_t count, std::int64_t row, T* A) {
  for (std::int64_t t = 1; t < count; ++t) {
    for (std::int64_t j = 0; j < t; j += kLanes<T>) {
      T* entry = A + t * row + j;
      store<T>(entry, load(entry) * load(c.G + (t - 1) * row + j) * load(c.eta + j) * -c.erase[t]);
    }
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
