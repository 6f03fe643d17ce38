// The recurrences of a chunk's channel-wise coefficients backward (recurrences.md, section 3), t = C … 1: of
// the writes' K-vectors S_tj and M_tj, and of ā, b and m̄. Each is a sum of products with the gates
// themselves: nothing is divided by a gate, and no sum is subtracted from another.
#pragma once

#include "scan/cpu/channel_writes.h"

namespace mdnlab::scan::cpu {
namespace {

template <class T>
struct ChannelAdjoints {
  Tile<T> q, k, e, alpha, mu;          // [C,K]
  T *beta, *eta;                       // [C]
  Tile<T> alpha_bar, minus_b, mu_bar;  // [C+1,K]
  Tile<T> S, M;                        // [C,K] of S_tj and M_tj, row j, at the token at hand
  Tile<T> L, minus_A;                  // [C,C] lower, strictly lower; beyond may hold anything

  ChannelAdjoints(Scratch<T>& scratch, const Scan<T>& scan) {
    const std::int64_t C = scan.chunk_size, K = scan.key_width;
    for (Tile<T>* tile : {&q, &k, &e, &alpha, &mu, &S, &M}) *tile = scratch.tile(C, K);
    for (T** piece : {&beta, &eta}) *piece = scratch.take(C);
    for (Tile<T>* tile : {&alpha_bar, &minus_b, &mu_bar}) *tile = scratch.tile(C + 1, K);
    for (Tile<T>* tile : {&L, &minus_A}) *tile = scratch.tile(C, C);
  }
};

// One vector of channels of token t, of which the sums over the writes stay in registers.
template <bool kDelta, bool kMomentum, class T>
struct TokenAdjoint {
  // The token's own
  Vector<T> q, e, alpha, mu;
  T beta, look_ahead;
  // Their adjoints
  Vector<T> d_q{}, d_e{}, d_alpha{}, d_mu{}, d_beta{};

  // Through the output ⟨q_t, S_tj − ω M_tj⟩ and S_tj = … − β_t M_tj.
  void through_output(T d_L, Vector<T> S_now, Vector<T> M_now, Vector<T>& d_S, Vector<T>& d_M) {
    const Vector<T> d_read = d_L * q;
    d_S += d_read;
    if constexpr (kMomentum) {
      d_q += d_L * (S_now - look_ahead * M_now);
      d_M -= look_ahead * d_read + beta * d_S;
      d_beta -= d_S * M_now;
    } else {
      d_q += d_L * S_now;
    }
  }

  // A write before t: from the adjoints of S_tj, M_tj to those of S_{t−1,j}, M_{t−1,j}.
  void earlier_write(T d_L, T d_minus_A, Vector<T> S_before, Vector<T> M_before, Vector<T>& d_S,
                     Vector<T>& d_M) {
    const Vector<T> M_now = kMomentum ? mu * M_before : Vector<T>{};
    const Vector<T> S_now = alpha * S_before - beta * M_now;
    through_output(d_L, S_now, M_now, d_S, d_M);
    d_alpha += d_S * S_before;
    d_S *= alpha;
    if constexpr (kMomentum) {
      d_mu += d_M * M_before;
      d_M *= mu;
    }
    if constexpr (kDelta) {
      d_S += d_minus_A * e;
      d_e += d_minus_A * S_before;
    }
  }
};

// Token t, added to what the adjoints hold. On return d.S and d.M hold those before the token.
template <bool kDelta, bool kMomentum, class T>
void adjoint_of_token(std::int64_t t, Tile<T> k, const ChannelGates<T>& g, const Readers<T>& r,
                      const Writes<T>& writes, const ChannelAdjoints<T>& d) {
  const T eta = g.eta[t], beta = g.beta[t];
  Vector<T> d_beta = {}, d_eta = {};
  for (std::int64_t c = 0; c < k.row; c += kLanes<T>) {
    TokenAdjoint<kDelta, kMomentum, T> x{.q = load(r.q.at(t) + c),
                                         .e = kDelta ? load(r.e.at(t) + c) : Vector<T>{},
                                         .alpha = load(g.alpha.at(t) + c),
                                         .mu = kMomentum ? load(g.mu.at(t) + c) : Vector<T>{},
                                         .beta = beta,
                                         .look_ahead = r.look_ahead};
    for (std::int64_t j = 0; j < t; ++j) {
      Vector<T> d_S = load(d.S.at(j) + c), d_M = kMomentum ? load(d.M.at(j) + c) : Vector<T>{};
      const Vector<T> M_before = kMomentum ? load(writes.M(t - 1, j) + c) : Vector<T>{};
      x.earlier_write(d.L.at(t)[j], kDelta ? d.minus_A.at(t)[j] : T(0), load(writes.S(t - 1, j) + c),
                      M_before, d_S, d_M);
      store<T>(d.S.at(j) + c, d_S);
      if constexpr (kMomentum) store<T>(d.M.at(j) + c, d_M);
    }
    // The token's own write: S_tt = −β M_tt, M_tt = −η k.
    const Vector<T> k_t = load(k.at(t) + c);
    Vector<T> d_S = load(d.S.at(t) + c), d_M = kMomentum ? load(d.M.at(t) + c) : Vector<T>{};
    x.through_output(d.L.at(t)[t], k_t * (beta * eta), k_t * -eta, d_S, d_M);
    if constexpr (!kMomentum) {
      d_M = d_S * -beta;
      x.d_beta += d_S * k_t * eta;
    }
    d_eta -= d_M * k_t;
    d_beta += x.d_beta;
    store<T>(d.k.at(t) + c, d_M * -eta);
    store<T>(d.q.at(t) + c, load(d.q.at(t) + c) + x.d_q);
    if constexpr (kDelta) store<T>(d.e.at(t) + c, load(d.e.at(t) + c) + x.d_e);
    store<T>(d.alpha.at(t) + c, load(d.alpha.at(t) + c) + x.d_alpha);
    if constexpr (kMomentum) store<T>(d.mu.at(t) + c, load(d.mu.at(t) + c) + x.d_mu);
  }
  d.beta[t] += sum<T>(d_beta);
  d.eta[t] = sum<T>(d_eta);
}

template <bool kDelta, bool kMomentum, class T>
void adjoint_of_writes(std::int64_t count, Tile<T> k, const ChannelGates<T>& g, const Readers<T>& r,
                       const Writes<T>& writes, const ChannelAdjoints<T>& d) {
  for (std::int64_t t = count - 1; t >= 0; --t) adjoint_of_token<kDelta, kMomentum>(t, k, g, r, writes, d);
}

// ā_t = α_t∘ā_{t−1}; −b_t = −α_t∘b_{t−1} − β_t m̄_t; m̄_t = μ_t∘m̄_{t−1}. Sets dα, dμ and dβ.
template <class T>
void adjoint_of_passage(std::int64_t count, bool has_momentum, const ChannelGates<T>& g,
                        const ChannelAdjoints<T>& d) {
  for (std::int64_t t = count - 1; t >= 0; --t) {
    Vector<T> d_beta = {};
    for (std::int64_t c = 0; c < g.alpha.row; c += kLanes<T>) {
      const auto before = [&](Tile<T> tile) { return load(tile.at(t) + c); };
      const auto after = [&](Tile<T> tile) { return load(tile.at(t + 1) + c); };
      const Vector<T> alpha = before(g.alpha), d_alpha_bar = after(d.alpha_bar);
      Vector<T> d_alpha = d_alpha_bar * before(g.alpha_bar);
      store<T>(d.alpha_bar.at(t) + c, before(d.alpha_bar) + alpha * d_alpha_bar);
      if (has_momentum) {
        const Vector<T> d_minus_b = after(d.minus_b), d_mu_bar = after(d.mu_bar) - g.beta[t] * d_minus_b;
        d_alpha += d_minus_b * before(g.minus_b);
        d_beta -= d_minus_b * after(g.mu_bar);
        store<T>(d.minus_b.at(t) + c, before(d.minus_b) + alpha * d_minus_b);
        store<T>(d.mu.at(t) + c, d_mu_bar * before(g.mu_bar));
        store<T>(d.mu_bar.at(t) + c, before(d.mu_bar) + before(g.mu) * d_mu_bar);
      }
      store<T>(d.alpha.at(t) + c, d_alpha);
    }
    d.beta[t] = sum<T>(d_beta);
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
