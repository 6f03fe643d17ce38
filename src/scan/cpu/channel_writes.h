// What each write of a chunk has left in the state, token by token (recurrences.md, section 2, with K-vectors
// for G and R). Write j adds the rows S_tj[c]·w_j to S_t and M_tj[c]·w_j to M_t, w_j its residual, where
//
//     M_jj = −η_j k_j ,  M_tj = μ_t∘M_{t−1,j}            (−R_tj∘η_j k_j)
//     S_jj = −β_j M_jj , S_tj = α_t∘S_{t−1,j} − β_t M_tj  ( G_tj∘η_j k_j)
//
// No gate is divided by and no sums of logarithms are subtracted, so any gates will do, also 0.
#pragma once

#include "scan/cpu/channel_gates.h"

namespace mdnlab::scan::cpu {
namespace {

// The K-vectors S_tj and M_tj: of every t for the backward pass, which needs them in reverse order, or only
// those of the token at hand. Either way those after the last token are adjacent rows.
template <class T>
struct Writes {
  Tile<T> S_rows, M_rows;
  bool keeps_all;

  Writes(Scratch<T>& scratch, const Scan<T>& scan, bool keeps_all) : keeps_all(keeps_all) {
    const std::int64_t C = scan.chunk_size, rows = keeps_all ? C * (C + 1) / 2 : C;
    S_rows = scratch.tile(rows, scan.key_width);
    M_rows = scratch.tile(scan.has_momentum ? rows : 0, scan.key_width);
  }

  std::int64_t row(std::int64_t t, std::int64_t j) const { return (keeps_all ? t * (t + 1) / 2 : 0) + j; }
  T* S(std::int64_t t, std::int64_t j) const { return S_rows.at(row(t, j)); }
  T* M(std::int64_t t, std::int64_t j) const { return M_rows.at(row(t, j)); }

  // Ψ of one half: [count, K], what the writes leave after the chunk.
  Tile<T> left(int half, std::int64_t count) const {
    return half == kS ? Tile<T>{S(count - 1, 0), S_rows.row} : Tile<T>{M(count - 1, 0), M_rows.row};
  }
};

// Where writes are read: by the output, ⟨q_t, S_tj − ω M_tj⟩ into L for j ≤ t, and by the residual,
// ⟨e_t, S_{t−1,j}⟩ into minus_A for j < t, with e = −p. Entries beyond may hold anything.
template <class T>
struct Readers {
  Tile<T> q, e;        // [C,K]; no e without delta
  T look_ahead;        // ω
  Tile<T> L, minus_A;  // [C,C]
};

template <bool kDelta, bool kMomentum, class T>
void carry_writes(std::int64_t count, Tile<T> k, const ChannelGates<T>& g, const Readers<T>& r,
                  const Writes<T>& writes) {
  const std::int64_t K = k.row;
  for (std::int64_t t = 0; t < count; ++t) {
    const T beta = g.beta[t], look_ahead = r.look_ahead;
    const T *q = r.q.at(t), *alpha = g.alpha.at(t), *mu = g.mu.at(t);
    for (std::int64_t j = 0; j < t; ++j) {
      const T *S_before = writes.S(t - 1, j), *M_before = kMomentum ? writes.M(t - 1, j) : nullptr;
      T *S_now = writes.S(t, j), *M_now = kMomentum ? writes.M(t, j) : nullptr;
      Vector<T> read = {}, erased = {};
      for (std::int64_t c = 0; c < K; c += kLanes<T>) {
        Vector<T> S = load(S_before + c);
        if constexpr (kDelta) erased += load(r.e.at(t) + c) * S;
        S *= load(alpha + c);
        if constexpr (kMomentum) {
          const Vector<T> M = load(M_before + c) * load(mu + c);
          S -= beta * M;
          read += load(q + c) * (S - look_ahead * M);
          store<T>(M_now + c, M);
        } else {
          read += load(q + c) * S;
        }
        store<T>(S_now + c, S);
      }
      r.L.at(t)[j] = sum<T>(read);
      if constexpr (kDelta) r.minus_A.at(t)[j] = sum<T>(erased);
    }
    Vector<T> read = {};
    for (std::int64_t c = 0; c < K; c += kLanes<T>) {
      const Vector<T> M = load(k.at(t) + c) * -g.eta[t], S = M * -beta;
      read += load(q + c) * (S - look_ahead * M);
      store<T>(writes.S(t, t) + c, S);
      if constexpr (kMomentum) store<T>(writes.M(t, t) + c, M);
    }
    r.L.at(t)[t] = sum<T>(read);
  }
}

// The same after the chunk alone, Ψ: from its end backward, with what S_t leaves in S_C (A) and M_t in S_C
// (B) and in M_C (N).
template <class T>
void compute_left(std::int64_t count, bool has_momentum, Tile<T> k, const ChannelGates<T>& g,
                  const Tile<T>* left) {
  for (std::int64_t c = 0; c < k.row; c += kLanes<T>) {
    Vector<T> A = Vector<T>{} + T(1), B = {}, N = A;
    for (std::int64_t t = count - 1; t >= 0; --t) {
      const Vector<T> written = load(k.at(t) + c) * g.eta[t];
      store<T>(left[kS].at(t) + c, (A * g.beta[t] - B) * written);
      if (has_momentum) {
        const Vector<T> mu = load(g.mu.at(t) + c);
        store<T>(left[kM].at(t) + c, N * -written);
        B = (B - A * g.beta[t]) * mu;
        N *= mu;
      }
      A *= load(g.alpha.at(t) + c);
    }
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
