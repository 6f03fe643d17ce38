// One token of one document and head: a pass over the state to read the residual, one to write and read out.
#pragma once

#include "scan/cpu/coefficients.h"
#include "scan/cpu/flush.h"

namespace mdnlab::scan::cpu {
namespace {

// Row i of the state, [V]. In and out are different memory.
template <class T>
struct StateRow {
  const T* __restrict S_before, * __restrict M_before;
  T* __restrict S, * __restrict M;
};

// out(:) += factor · row(:)
template <class T>
void add_row(T factor, const T* __restrict row, std::int64_t width, T* __restrict out) {
  for (std::int64_t j = 0; j < width; ++j) out[j] += factor * row[j];
}

// M' = μM + (−η k_i) r, S' = αS − βM', o += q_i (S' − ωM')
template <class T>
void momentum_row(StateRow<T> row, T alpha, T mu, T beta, T write, T q_i, T look_ahead, std::int64_t width,
                  const T* __restrict residual, T* __restrict output) {
  for (std::int64_t j = 0; j < width; ++j) {
    const T velocity = mu * row.M_before[j] + write * residual[j];
    const T memory = alpha * row.S_before[j] - beta * velocity;
    row.M[j] = velocity;
    row.S[j] = memory;
    output[j] += q_i * (memory - look_ahead * velocity);
  }
}

// S' = αS + (βη k_i) r, o += q_i S'
template <class T>
void plain_row(StateRow<T> row, T alpha, T write, T q_i, std::int64_t width, const T* __restrict residual,
               T* __restrict output) {
  for (std::int64_t j = 0; j < width; ++j) {
    const T memory = alpha * row.S_before[j] + write * residual[j];
    row.S[j] = memory;
    output[j] += q_i * memory;
  }
}

template <class T>
void step_head(const Scan<T>& scan, const Document& document, std::int64_t head, const Results<T>& results,
               T* scratch) {
  const std::int64_t K = scan.key_width, V = scan.value_width, token = document.start;
  const std::int64_t key_head = head / (scan.heads / scan.key_heads);
  const std::int64_t matrix = (document.index * scan.heads + head) * K * V;
  T *residual = scratch, *output = residual + padded(V), *zeros = output + padded(V);
  const std::int64_t gate = token * scan.heads + head;
  const auto before = [&](int half, std::int64_t i) {
    return scan.initial_state[half] ? scan.initial_state[half] + matrix + i * V : zeros;
  };
  const T alpha = scan.alpha ? T(scan.alpha[gate]) : T(1), mu = scan.mu ? T(scan.mu[gate]) : T(0);
  const T beta = scan.beta ? scan.beta[gate] : T(1), eta = scan.eta ? scan.eta[gate] : T(1);
  const T *q = scan.q.row(token, key_head), *k = scan.k.row(token, key_head);
  const T* p = scan.p.data ? scan.p.row(token, head) : k;
  const T erase = scan.p.data ? T(1) : alpha;

  std::copy_n(scan.v.row(token, head), V, residual);
  std::fill_n(output, V, T(0));
  std::fill_n(zeros, V, T(0));
  if (scan.has_delta && scan.initial_state[kS]) {  // r = v − Sᵀp
    for (std::int64_t i = 0; i < K; ++i) add_row(-erase * p[i], before(kS, i), V, residual);
  }
  for (std::int64_t i = 0; i < K; ++i) {
    T* S = results.final_state[kS] + matrix + i * V;
    if (scan.has_momentum) {
      T* M = results.final_state[kM] + matrix + i * V;
      momentum_row<T>({before(kS, i), before(kM, i), S, M}, alpha, mu, beta, -eta * k[i], q[i],
                      T(scan.look_ahead), V, residual, output);
    } else {
      plain_row<T>({before(kS, i), nullptr, S, nullptr}, alpha, beta * eta * k[i], q[i], V, residual, output);
    }
  }
  std::copy_n(output, V, results.o.row(token, head));
}

template <class T>
void step(const Scan<T>& scan, const Document& document, std::int64_t key_head, const Results<T>& results,
          T* scratch) {
  const FlushDenormals flush;
  const std::int64_t share = scan.heads / scan.key_heads;
  for (std::int64_t head = key_head * share; head < (key_head + 1) * share; ++head) {
    step_head(scan, document, head, results, scratch);
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
