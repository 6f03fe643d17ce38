// The chunkwise backward pass of one document and its heads where the decay is channel-wise, last chunk
// first. Coefficients are rebuilt from the inputs; the states before each chunk and the residuals come from
// the forward pass.
#pragma once

#include "scan/cpu/backward.h"
#include "scan/cpu/channel_chunk_adjoints.h"

namespace mdnlab::scan::cpu {
namespace {

// Residuals and state where forward saved them; without delta the residual is v.
template <class T>
void find_saved(const Scan<T>& scan, const Document& document, const Chunk& at, const Saved<T>& saved,
                ChannelBackwardTiles<T>& x) {
  T* state = saved.states + saved.state_at(scan, at.head, document.first_chunk + at.n);
  const std::int64_t row = padded(scan.value_width);
  for (int h = 0; h < scan.halves(); ++h) x.state_before[h] = {state + h * scan.key_width * row, row};
  if (scan.has_delta) {
    x.w.data = saved.residuals + saved.residual_at(scan, at.head, at.token);
  } else {
    load_rows(scan.v, at.token, at.head, at.count, scan.value_width, x.w);
  }
}

template <class T>
void backward_chunk(const Scan<T>& scan, const Chunk& at, bool state_wanted, ChannelBackwardTiles<T>& x) {
  begin_channel_chunk(scan, at, x);
  for (const Tile<T>& sum : {x.d.q, x.d.e}) std::fill_n(sum.data, at.count * sum.row, T(0));
  for (const Tile<T>& sum : {x.d.alpha_bar, x.d.minus_b, x.d.mu_bar})
    std::fill_n(sum.data, (at.count + 1) * sum.row, T(0));
  adjoint_of_residuals(scan, at, x);
  adjoint_of_residual_factors(scan, at, x);
  if (!at.from_nothing) {
    adjoint_of_reads(scan, at, x);
    if (at.leads_on) adjoint_of_passed_state(scan, at, x);
  }
  adjoint_of_coefficients(scan, at, x);
  if (state_wanted) adjoint_of_state(scan, at, x);
}

// From the tile e = −p to p, or where p = αk to k and α; from gates to their logarithms.
template <class T>
void finish_gradients(const Scan<T>& scan, const Chunk& at, ChannelBackwardTiles<T>& x) {
  const ChannelGates<T>& g = x.gates;
  const ChannelAdjoints<T>& d = x.d;
  if (scan.p.data) {
    scale(T(-1), d.e, at.count, d.e);
  } else if (scan.has_delta) {
    scale(T(-1), d.e, at.count, d.e);
    fold_channel_products(d.e, at.count, g.alpha, x.k, d.k, d.alpha);
  }
  multiply_rows(T(1), g.alpha, d.alpha, at.count, d.alpha);
  if (scan.has_momentum) multiply_rows(T(1), g.mu, d.mu, at.count, d.mu);
}

template <class T>
T sum_of_row(const T* row, std::int64_t width) {
  Vector<T> total = {};
  for (std::int64_t i = 0; i < width; i += kLanes<T>) total += load(row + i);
  return sum<T>(total);
}

template <class T>
void store_gradients(const Scan<T>& scan, const Chunk& at, const ChannelBackwardTiles<T>& x,
                     const Gradients<T>& gradients) {
  const std::int64_t K = scan.key_width;
  const auto store = [&](Tile<T> tile, const Rows<T>& target, std::int64_t head, std::int64_t width,
                         bool add) {
    if (target.data) store_rows(tile, target, at.token, head, at.count, width, add);
  };
  // A key head's gradient is the sum over its value heads, which come one after another.
  const bool add = at.head % (scan.heads / scan.key_heads) != 0;
  store(x.d.q, gradients.q, at.key_head, K, add);
  store(x.d.k, gradients.k, at.key_head, K, add);
  store(x.d.e, gradients.p, at.head, K, false);
  store(x.dr, gradients.v, at.head, scan.value_width, false);
  store(x.d.alpha, gate_rows(scan, gradients.log_alpha, K), at.head, K, false);
  store_gate(scan, at, x.d.beta, gradients.beta);
  store_gate(scan, at, x.d.eta, gradients.eta);
  if (scan.has_channel_mu) {
    store(x.d.mu, gate_rows(scan, gradients.log_mu, K), at.head, K, false);
  } else if (gradients.log_mu) {
    for (std::int64_t t = 0; t < at.count; ++t)
      gradients.log_mu[(at.token + t) * scan.heads + at.head] = sum_of_row(x.d.mu.at(t), x.d.mu.row);
  }
}

// Memory of this chunk's outputs and the next one's inputs.
template <class T>
void prefetch(const Scan<T>& scan, const Document& document, const Chunk& at, const Saved<T>& saved,
              const Adjoints<T>& adjoints, const Gradients<T>& gradients, ChannelBackwardTiles<T>& x) {
  const std::int64_t K = scan.key_width, V = scan.value_width;
  x.ahead.clear();
  x.ahead.add_rows(gradients.v, at.token, at.head, at.count, V);
  x.ahead.add_rows(gradients.q, at.token, at.key_head, at.count, K);
  x.ahead.add_rows(gradients.k, at.token, at.key_head, at.count, K);
  x.ahead.add_rows(gradients.p, at.token, at.head, at.count, K);
  x.ahead.add_rows(gate_rows(scan, gradients.log_alpha, K), at.token, at.head, at.count, K);
  if (at.n == 0) return;
  const Chunk next = chunk_at(scan, document, at.head, at.n - 1);
  prefetch_channel_inputs(scan, next, x.ahead);
  if (scan.has_delta) {
    x.ahead.add(saved.residuals + saved.residual_at(scan, next.head, next.token), next.count * x.w.row);
  } else {
    x.ahead.add_rows(scan.v, next.token, next.head, next.count, V);
  }
  x.ahead.add_rows(adjoints.o, next.token, next.head, next.count, V);
  const T* state = saved.states + saved.state_at(scan, next.head, document.first_chunk + next.n);
  x.ahead.add(state, scan.halves() * K * x.d_state[kS].row);
}

template <class T>
void backward_head(const Scan<T>& scan, const Document& document, std::int64_t head, const Saved<T>& saved,
                   const Adjoints<T>& adjoints, const Gradients<T>& gradients, ChannelBackwardTiles<T>& x) {
  const std::int64_t K = scan.key_width, V = scan.value_width;
  const std::int64_t matrix = (document.index * scan.heads + head) * K * V;
  bool leads_on = false;
  bool state_wanted = false;
  for (int h = 0; h < scan.halves(); ++h) {
    const T* given = adjoints.final_state[h];
    load_matrix(given ? given + matrix : nullptr, K, V, x.d_state[h]);
    leads_on = leads_on || given;
    state_wanted = state_wanted || gradients.initial_state[h];
  }
  for (std::int64_t n = chunks_in(document, scan.chunk_size) - 1; n >= 0; --n, leads_on = true) {
    Chunk at = chunk_at(scan, document, head, n);
    at.leads_on = leads_on;
    find_saved(scan, document, at, saved, x);
    load_output_adjoint(scan, at, adjoints.o, x.dO);
    x.dr.data = x.dO.at(at.count);
    prefetch(scan, document, at, saved, adjoints, gradients, x);

    backward_chunk(scan, at, n > 0 || state_wanted, x);
    finish_gradients(scan, at, x);
    store_gradients(scan, at, x, gradients);
  }
  for (int h = 0; h < scan.halves(); ++h) {
    T* target = gradients.initial_state[h];
    store_matrix(x.d_state[h], K, V, target ? target + matrix : nullptr);
  }
}

template <class T>
void channel_backward(const Scan<T>& scan, const Document& document, std::int64_t key_head,
                      const Saved<T>& saved, const Adjoints<T>& adjoints, const Gradients<T>& gradients,
                      T* scratch) {
  const FlushDenormals flush;
  Scratch<T> pieces(scratch);
  ChannelBackwardTiles<T> tiles(pieces, scan);
  const std::int64_t share = scan.heads / scan.key_heads;
  for (std::int64_t head = key_head * share; head < (key_head + 1) * share; ++head) {
    backward_head(scan, document, head, saved, adjoints, gradients, tiles);
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
