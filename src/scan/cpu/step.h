// One token of one document and head: a pass over the state to read the residual, one to write and read out.
#pragma once

#include <math.h>

#include "scan/cpu/flush.h"
#include "scan/cpu/tile.h"

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

// M' = μM + (−η k_i) r, S' = αS − βM', o += q_i S'
template <class T>
void momentum_row(StateRow<T> row, T alpha, T mu, T beta, T write, T q_i, std::int64_t width,
                  const T* __restrict residual, T* __restrict output) {
  for (std::int64_t j = 0; j < width; ++j) {
    const T velocity = mu * row.M_before[j] + write * residual[j];
    const T memory = alpha * row.S_before[j] - beta * velocity;
    row.M[j] = velocity;
    row.S[j] = memory;
    output[j] += q_i * memory;
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
  const auto gate = [&](const T* values, T neutral) {
    return values ? values[token * scan.heads + head] : neutral;
  };
  const auto before = [&](const T* states, std::int64_t i) {
    return states ? states + matrix + i * V : zeros;
  };
  const T alpha = scan.log_alpha ? ::exp(gate(scan.log_alpha, 0)) : T(1);
  const T mu = scan.has_momentum ? ::exp(gate(scan.log_mu, 0)) : T(0);
  const T beta = gate(scan.beta, 1), eta = gate(scan.eta, 1);
  const T *q = scan.q.row(token, key_head), *k = scan.k.row(token, key_head);
  const T* p = scan.p.data ? scan.p.row(token, head) : k;
  const T erase = scan.p.data ? T(1) : alpha;

  std::copy_n(scan.v.row(token, head), V, residual);
  std::fill_n(output, V, T(0));
  std::fill_n(zeros, V, T(0));
  if (scan.has_delta && scan.initial_S) {  // r = v − Sᵀp
    for (std::int64_t i = 0; i < K; ++i) add_row(-erase * p[i], before(scan.initial_S, i), V, residual);
  }
  for (std::int64_t i = 0; i < K; ++i) {
    T* S = results.final_S + matrix + i * V;
    if (scan.has_momentum) {
      T* M = results.final_M + matrix + i * V;
      momentum_row<T>({before(scan.initial_S, i), before(scan.initial_M, i), S, M}, alpha, mu, beta,
                      -eta * k[i], q[i], V, residual, output);
    } else {
      plain_row<T>({before(scan.initial_S, i), nullptr, S, nullptr}, alpha, beta * eta * k[i], q[i], V,
                   residual, output);
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
