// One token of one document and head: two passes over the state, the first to read the residual.
#pragma once

#include <math.h>

#include "scan/cpu/tile.h"

namespace mdnlab::scan::cpu {
namespace {

template <class T>
void step_head(const Scan<T>& scan, const Document& document, std::int64_t head, const Results<T>& results,
               T* residual, T* output) {
  const std::int64_t K = scan.key_width, V = scan.value_width, token = document.start;
  const std::int64_t key_head = head / (scan.heads / scan.key_heads);
  const std::int64_t matrix = (document.index * scan.heads + head) * K * V;
  const auto gate = [&](const T* values, T neutral) {
    return values ? values[token * scan.heads + head] : neutral;
  };
  const T alpha = scan.log_alpha ? ::exp(gate(scan.log_alpha, 0)) : T(1);
  const T mu = scan.has_momentum ? ::exp(gate(scan.log_mu, 0)) : T(0);
  const T beta = gate(scan.beta, 1), eta = gate(scan.eta, 1);
  const T *q = scan.q.row(token, key_head), *k = scan.k.row(token, key_head);
  const T* p = scan.p.data ? scan.p.row(token, head) : k;
  const T erase = scan.p.data ? T(1) : alpha;

  // r = v − Sᵀp
  std::copy_n(scan.v.row(token, head), V, residual);
  if (scan.has_delta && scan.initial_S) {
    for (std::int64_t i = 0; i < K; ++i) {
      const T factor = -erase * p[i];
      const T* S = scan.initial_S + matrix + i * V;
      for (std::int64_t j = 0; j < V; ++j) residual[j] += factor * S[j];
    }
  }
  // M' = μM − ηk rᵀ, S' = αS − βM', o = S'ᵀq
  std::fill_n(output, V, T(0));
  for (std::int64_t i = 0; i < K; ++i) {
    const std::int64_t row = matrix + i * V;
    T* S = results.final_S + row;
    T* M = scan.has_momentum ? results.final_M + row : nullptr;
    const T write = -eta * k[i];
    for (std::int64_t j = 0; j < V; ++j) {
      T velocity = write * residual[j];
      if (M) {
        if (scan.initial_M) velocity += mu * scan.initial_M[row + j];
        M[j] = velocity;
      }
      const T decayed = scan.initial_S ? alpha * scan.initial_S[row + j] : T(0);
      S[j] = decayed - beta * velocity;
      output[j] += q[i] * S[j];
    }
  }
  std::copy_n(output, V, results.o.row(token, head));
}

template <class T>
void step(const Scan<T>& scan, const Document& document, std::int64_t key_head, const Results<T>& results,
          T* scratch) {
  const std::int64_t share = scan.heads / scan.key_heads;
  for (std::int64_t head = key_head * share; head < (key_head + 1) * share; ++head) {
    step_head(scan, document, head, results, scratch, scratch + padded(scan.value_width));
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
