// One token of one document and head where the decay is channel-wise: a pass over the state to read the
// residual, one to write and read out.
#pragma once

#include "scan/cpu/exp.h"
#include "scan/cpu/step.h"

namespace mdnlab::scan::cpu {
namespace {

// gate(:) = exp(log_gate[c]), c < K, or exp(log_gate[0]) throughout.
template <class T>
void exponentiate_row(const T* log_gate, bool is_channel_wise, std::int64_t K, T* gate) {
  if (is_channel_wise) {
    std::copy_n(log_gate, K, gate);
  } else {
    std::fill_n(gate, K, *log_gate);
  }
  std::fill(gate + K, gate + padded(K), T(0));
  for (std::int64_t c = 0; c < K; c += kLanes<T>) store<T>(gate + c, exponential<T>(load(gate + c)));
}

template <class T>
void channel_step_head(const Scan<T>& scan, const Document& document, std::int64_t head,
                       const Results<T>& results, T* scratch) {
  const std::int64_t K = scan.key_width, V = scan.value_width, token = document.start;
  const std::int64_t key_head = head / (scan.heads / scan.key_heads);
  const std::int64_t matrix = (document.index * scan.heads + head) * K * V;
  Scratch<T> pieces(scratch);
  T *residual = pieces.take(V), *output = pieces.take(V), *zeros = pieces.take(V), *alpha = pieces.take(K),
    *mu = pieces.take(K);
  const std::int64_t gate = token * scan.heads + head;
  const auto before = [&](int half, std::int64_t i) {
    return scan.initial_state[half] ? scan.initial_state[half] + matrix + i * V : zeros;
  };
  const T beta = scan.beta ? scan.beta[gate] : T(1), eta = scan.eta ? scan.eta[gate] : T(1);
  const T *q = scan.q.row(token, key_head), *k = scan.k.row(token, key_head);
  exponentiate_row(scan.log_alpha + gate * K, true, K, alpha);
  if (scan.has_momentum)
    exponentiate_row(scan.log_mu + gate * (scan.has_channel_mu ? K : 1), scan.has_channel_mu, K, mu);

  std::copy_n(scan.v.row(token, head), V, residual);
  std::fill_n(output, V, T(0));
  std::fill_n(zeros, V, T(0));
  if (scan.has_delta && scan.initial_state[kS]) {  // r = v − Sᵀp
    const T* p = scan.p.data ? scan.p.row(token, head) : nullptr;
    for (std::int64_t i = 0; i < K; ++i) add_row(p ? -p[i] : -alpha[i] * k[i], before(kS, i), V, residual);
  }
  for (std::int64_t i = 0; i < K; ++i) {
    T* S = results.final_state[kS] + matrix + i * V;
    if (scan.has_momentum) {
      T* M = results.final_state[kM] + matrix + i * V;
      momentum_row<T>({before(kS, i), before(kM, i), S, M}, alpha[i], mu[i], beta, -eta * k[i], q[i],
                      T(scan.look_ahead), V, residual, output);
    } else {
      plain_row<T>({before(kS, i), nullptr, S, nullptr}, alpha[i], beta * eta * k[i], q[i], V, residual,
                   output);
    }
  }
  std::copy_n(output, V, results.o.row(token, head));
}

template <class T>
void channel_step(const Scan<T>& scan, const Document& document, std::int64_t key_head,
                  const Results<T>& results, T* scratch) {
  const FlushDenormals flush;
  const std::int64_t share = scan.heads / scan.key_heads;
  for (std::int64_t head = key_head * share; head < (key_head + 1) * share; ++head) {
    channel_step_head(scan, document, head, results, scratch);
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
