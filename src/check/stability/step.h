// One token of a rule on its memory when nothing is written (v = 0): the linear map that stability is about.
//
//   m' = μ∘m + η π k (α∘k)ᵀs        s' = α∘s − β m'        (recurrences.md, section 1; without delta: π = 0)
//
// The value columns of S and M do not mix, so one column of each, s and m, K numbers, stands for all.
#pragma once

#include <array>
#include <cstddef>

namespace mdnlab::stability {

// What a rule does with one token, where decay and momentum are scalars. Neutral without a word.
struct Gate {
  double alpha = 1;  // decay
  double mu = 0;     // momentum
  double beta = 1;   // step
  double eta = 1;    // inner rate
  double erase =
      1;  // π, the share of α k that is read for the residual: p = π α k; 0 in a rule without delta

  double step() const { return beta * eta * erase; }  // what one token takes off its own key, of α s
};

template <std::size_t K>
struct Token {
  std::array<double, K> alpha, mu, key;
  double beta, push;  // push = η π
};

template <std::size_t K>
struct State {
  std::array<double, K> s{}, m{};
};

template <std::size_t K>
Token<K> same_in_every_channel(const Gate& gate, const std::array<double, K>& key) {
  Token<K> token{.key = key, .beta = gate.beta, .push = gate.eta * gate.erase};
  token.alpha.fill(gate.alpha);
  token.mu.fill(gate.mu);
  return token;
}

template <std::size_t K>
State<K> advance(const State<K>& state, const Token<K>& token) {
  double read = 0;
  for (std::size_t i = 0; i < K; ++i) read += token.alpha[i] * token.key[i] * state.s[i];
  State<K> next;
  for (std::size_t i = 0; i < K; ++i) {
    next.m[i] = token.mu[i] * state.m[i] + token.push * token.key[i] * read;
    next.s[i] = token.alpha[i] * state.s[i] - token.beta * next.m[i];
  }
  return next;
}

}  // namespace mdnlab::stability
