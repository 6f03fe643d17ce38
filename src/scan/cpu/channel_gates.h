// The gates of one chunk and head where the decay is channel-wise: K-vectors in place of scalars. With them
// what the state before the chunk, S₀ and M₀, leaves in the state after t tokens:
//
//     S_t ∋ ā_t∘S₀ − b_t∘M₀        M_t ∋ m̄_t∘M₀
//
// ā and m̄ are exponentials of sums of log-gates from the chunk's start on, so that no rounding adds up; sums
// are never subtracted from one another, and −∞ is a log-gate like any other.
#pragma once

#include "scan/cpu/coefficients.h"
#include "scan/cpu/exp.h"

namespace mdnlab::scan::cpu {
namespace {

template <class T>
struct ChannelGates {
  Tile<T> alpha, mu;                   // [C,K]; a scalar μ fills its row
  T *beta, *eta;                       // [C]
  Tile<T> alpha_bar, minus_b, mu_bar;  // [C+1,K]: row t before token t, row t+1 after it

  ChannelGates(Scratch<T>& scratch, const Scan<T>& scan) {
    const std::int64_t C = scan.chunk_size, K = scan.key_width;
    for (Tile<T>* tile : {&alpha, &mu}) *tile = scratch.tile(C, K);
    for (T** piece : {&beta, &eta}) *piece = scratch.take(C);
    for (Tile<T>* tile : {&alpha_bar, &minus_b, &mu_bar}) *tile = scratch.tile(C + 1, K);
  }
};

// Rows of a channel-wise gate or of its gradient, [tokens, H, width].
template <class T, class Entry>
Rows<Entry> gate_rows(const Scan<T>& scan, Entry* gate, std::int64_t width) {
  return {gate, scan.heads * width, width};
}

// logs becomes the gate; bar_0 = 1, bar_{t+1} = exp(Σ_{s≤t} logs_s).
template <class T>
void exponentiate(std::int64_t count, Tile<T> logs, Tile<T> bar) {
  for (std::int64_t c = 0; c < logs.row; c += kLanes<T>) {
    Vector<T> sum = {};
    store<T>(bar.at(0) + c, sum + T(1));
    for (std::int64_t t = 0; t < count; ++t) {
      const Vector<T> log = load(logs.at(t) + c);
      sum += log;
      store<T>(logs.at(t) + c, exponential<T>(log));
      store<T>(bar.at(t + 1) + c, exponential<T>(sum));
    }
  }
}

// b_0 = 0, b_t = α_t∘b_{t−1} + β_t m̄_t
template <class T>
void compute_b(std::int64_t count, const ChannelGates<T>& g) {
  std::fill_n(g.minus_b.at(0), g.minus_b.row, T(0));
  for (std::int64_t t = 0; t < count; ++t) {
    for (std::int64_t c = 0; c < g.minus_b.row; c += kLanes<T>) {
      store<T>(g.minus_b.at(t + 1) + c, load(g.alpha.at(t) + c) * load(g.minus_b.at(t) + c) -
                                            g.beta[t] * load(g.mu_bar.at(t + 1) + c));
    }
  }
}

template <class T>
void compute_channel_gates(const Scan<T>& scan, std::int64_t first_token, std::int64_t count,
                           std::int64_t head, const ChannelGates<T>& g) {
  for (std::int64_t t = 0; t < count; ++t) {
    const std::int64_t at = (first_token + t) * scan.heads + head;
    g.beta[t] = scan.beta ? scan.beta[at] : T(1);
    g.eta[t] = scan.eta ? scan.eta[at] : T(1);
    if (scan.has_momentum && !scan.has_channel_mu) std::fill_n(g.mu.at(t), g.mu.row, scan.log_mu[at]);
  }
  const std::int64_t K = scan.key_width;
  load_rows(gate_rows(scan, scan.log_alpha, K), first_token, head, count, K, g.alpha);
  exponentiate(count, g.alpha, g.alpha_bar);
  if (!scan.has_momentum) return;
  if (scan.has_channel_mu) load_rows(gate_rows(scan, scan.log_mu, K), first_token, head, count, K, g.mu);
  exponentiate(count, g.mu, g.mu_bar);
  compute_b(count, g);
}

}  // namespace
}  // namespace mdnlab::scan::cpu
