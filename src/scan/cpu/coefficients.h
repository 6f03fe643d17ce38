// The scalars of one chunk and head: gates, their products, G and R, and the row factors of D, Q̂ and Ψ.
//
// The products ā, m̄ and the sum b run in double within the chunk, so they do not drift. G and R are built by
// their recurrences of positive terms: no difference of exponentials, no division by a gate.
#pragma once

#include "scan/cpu/tile.h"

namespace mdnlab::scan::cpu {
namespace {

enum Half { kS = 0, kM = 1 };  // of the state X = [S; M]

template <class T>
struct Coefficients {
  // [C]: the token's own
  T *alpha, *mu, *beta, *eta;
  T* erase;  // e, what multiplies the rows of the tile P: α where p = αk and the tile holds k, else 1
  // [C+1]: [t] before token t, [t+1] after it
  T *alpha_bar, *mu_bar, *b;
  // [C]: the factors of rows in Q̂ = [read∘Q, …], −D = [erase∘P, …], Ψ = [write∘K, …], for each half
  struct RowFactors {
    T *read, *erase, *write;
  } half[2];
  // [C,C]: row t, zero for j > t as far as the vector that holds j = t
  Tile<T> G, R;
  Tile<T> G_read;  // G + ωR, what an output has of a write; G itself where ω = 0

  Coefficients(Scratch<T>& scratch, std::int64_t chunk_size, bool has_look_ahead) {
    for (T** piece : {&alpha, &mu, &beta, &eta, &erase}) *piece = scratch.take(chunk_size);
    for (T** piece : {&alpha_bar, &mu_bar, &b}) *piece = scratch.take(chunk_size + 1);
    for (RowFactors& factors : half) {
      for (T** piece : {&factors.read, &factors.erase, &factors.write}) *piece = scratch.take(chunk_size);
    }
    for (Tile<T>* tile : {&G, &R, &G_read}) *tile = scratch.tile(chunk_size, chunk_size);
    if (!has_look_ahead) G_read = G;
  }
};

// The end of the vector that holds entry t.
template <class T>
constexpr std::int64_t vector_end(std::int64_t t) {
  return (t / kLanes<T> + 1) * kLanes<T>;
}

// 1 in lane `lane`, 0 elsewhere.
template <class T>
inline Vector<T> unit(std::int64_t lane) {
  return lane_numbers<T>() == Vector<T>{} + static_cast<T>(lane) ? Vector<T>{} + T(1) : Vector<T>{};
}

// G_tj = α_t G_{t−1,j} + β_t R_tj, G_jj = β_j; R_tj = μ_t R_{t−1,j}, R_jj = 1 (without momentum R = [t = j]).
template <class T>
void build_G_and_R(const Coefficients<T>& c, std::int64_t count, bool has_momentum) {
  for (std::int64_t t = 0; t < count; ++t) {
    const std::int64_t before = std::max<std::int64_t>(t - 1, 0),
                       before_end = t == 0 ? 0 : vector_end<T>(before);
    for (std::int64_t j = 0; j <= t; j += kLanes<T>) {
      const bool is_new = j >= before_end;  // the row before does not reach this vector
      Vector<T> R = unit<T>(t - j);
      if (has_momentum) {
        if (!is_new) R += load(c.R.at(before) + j) * c.mu[t];
        store<T>(c.R.at(t) + j, R);
      }
      const Vector<T> decayed = is_new ? Vector<T>{} : load(c.G.at(before) + j) * c.alpha[t];
      store<T>(c.G.at(t) + j, decayed + R * c.beta[t]);
    }
  }
}

// out = a + factor · b, on and before the diagonal; out may be a.
template <class T>
void add_lower(Tile<T> a, T factor, Tile<T> b, std::int64_t count, Tile<T> out) {
  for (std::int64_t t = 0; t < count; ++t) {
    for (std::int64_t j = 0; j <= t; j += kLanes<T>) {
      store<T>(out.at(t) + j, load(a.at(t) + j) + load(b.at(t) + j) * factor);
    }
  }
}

template <class T>
void compute_gates(const Scan<T>& scan, std::int64_t first_token, std::int64_t count, std::int64_t head,
                   const Coefficients<T>& c) {
  double alpha_bar = 1, mu_bar = 1, b = 0;
  c.alpha_bar[0] = c.mu_bar[0] = 1;
  c.b[0] = 0;
  for (std::int64_t t = 0; t < count; ++t) {
    const std::int64_t at = (first_token + t) * scan.heads + head;
    const double alpha = scan.alpha ? scan.alpha[at] : 1.0, mu = scan.mu ? scan.mu[at] : 0.0;
    const T beta = scan.beta ? scan.beta[at] : T(1);
    alpha_bar *= alpha;
    mu_bar *= mu;
    b = alpha * b + beta * mu_bar;
    c.alpha[t] = T(alpha);
    c.mu[t] = T(mu);
    c.beta[t] = beta;
    c.eta[t] = scan.eta ? scan.eta[at] : T(1);
    c.erase[t] = scan.p.data ? T(1) : T(alpha);
    c.alpha_bar[t + 1] = T(alpha_bar);
    c.mu_bar[t + 1] = T(mu_bar);
    c.b[t + 1] = T(b);
  }
  std::fill(c.eta + count, c.eta + padded(count), T(0));
}

template <class T>
void compute_coefficients(const Scan<T>& scan, std::int64_t first_token, std::int64_t count,
                          std::int64_t head, const Coefficients<T>& c) {
  compute_gates(scan, first_token, count, head, c);
  build_G_and_R(c, count, scan.has_momentum);
  const T look_ahead = static_cast<T>(scan.look_ahead);
  if (look_ahead != 0) add_lower(c.G, look_ahead, c.R, count, c.G_read);
  const auto& [S, M] = c.half;
  const T *last_G = c.G.at(count - 1), *last_R = c.R.at(count - 1);
  for (std::int64_t t = 0; t < count; ++t) {
    S.read[t] = c.alpha_bar[t + 1];
    S.erase[t] = -c.erase[t] * c.alpha_bar[t];
    S.write[t] = last_G[t] * c.eta[t];
    if (!scan.has_momentum) continue;
    M.read[t] = -(c.b[t + 1] + look_ahead * c.mu_bar[t + 1]);
    M.erase[t] = c.erase[t] * c.b[t];
    M.write[t] = -last_R[t] * c.eta[t];
  }
}

// L_tj = (G + ωR)_tj η_j ⟨q_t,k_j⟩ for j ≤ t. Entries beyond the diagonal may hold anything.
template <class T>
void form_L(const Coefficients<T>& c, std::int64_t count, Tile<T> qk, Tile<T> L) {
  for (std::int64_t t = 0; t < count; ++t) {
    for (std::int64_t j = 0; j <= t; j += kLanes<T>) {
      store<T>(L.at(t) + j, load(qk.at(t) + j) * load(c.G_read.at(t) + j) * load(c.eta + j));
    }
  }
}

// −A_tj = −G_{t−1,j} η_j e_t ⟨P_t,k_j⟩ for j < t. Entries from the diagonal on may hold anything.
template <class T>
void form_minus_A(const Coefficients<T>& c, std::int64_t count, Tile<T> pk, Tile<T> minus_A) {
  for (std::int64_t t = 1; t < count; ++t) {
    for (std::int64_t j = 0; j < t; j += kLanes<T>) {
      store<T>(minus_A.at(t) + j,
               load(pk.at(t) + j) * load(c.G.at(t - 1) + j) * load(c.eta + j) * -c.erase[t]);
    }
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
