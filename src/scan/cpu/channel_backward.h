// The chunkwise backward pass of one document and its heads where the decay is channel-wise, last chunk
// first. Coefficients are rebuilt from the inputs; the residuals and the states before each group of chunks
// come from the forward pass.
#pragma once

#include "scan/cpu/backward.h"
#include "scan/cpu/channel_chunk_adjoints.h"

namespace mdnlab::scan::cpu {
namespace {

// The state before chunk n of a document: saved, or rebuilt.
template <class T>
void find_state_before(const Scan<T>& scan, const Document& document, std::int64_t head, std::int64_t n,
                       const Saved<T>& saved, const ChannelBackwardTiles<T>& x, Tile<T>* state) {
  const std::int64_t place = n % scan.chunks_per_state;
  if (place == 0) return find_state(scan, document, head, n, saved, state);
  for (int h = 0; h < scan.halves(); ++h)
    state[h] = {x.own_state[h].at((place - 1) * scan.key_width), x.own_state[h].row};
}

// The states between the chunks of a group up to chunk n, from the one saved before the group.
template <class T>
void rebuild_states(const Scan<T>& scan, const Document& document, std::int64_t head, std::int64_t n,
                    const Saved<T>& saved, ChannelBackwardTiles<T>& x) {
  Tile<T> before[2], after[2];
  for (std::int64_t m = n - n % scan.chunks_per_state; m < n; ++m) {
    const Chunk at = chunk_at(scan, document, head, m);
    find_state_before(scan, document, head, m, saved, x, before);
    find_state_before(scan, document, head, m + 1, saved, x, after);
    find_residuals(scan, at, saved, x.w);
    load_rows(scan.k, at.token, at.key_head, at.count, scan.key_width, x.k);
    compute_channel_gates(scan, at.token, at.count, head, x.gates);
    compute_left(at.count, scan.has_momentum, x.k, x.gates, x.reads);
    next_state(scan, at, x.reads, x.w, before, x, after);
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
  const bool add = adds_to_key_head(scan, at);
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
  if (at.n % scan.chunks_per_state != 0) return;
  Tile<T> state[2];  // of the next group
  find_state(scan, document, next.head, next.n, saved, state);
  x.ahead.add(state[kS].data, scan.halves() * K * state[kS].row);
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
  const std::int64_t chunks = chunks_in(document, scan.chunk_size);
  for (std::int64_t n = chunks - 1; n >= 0; --n, leads_on = true) {
    if (n == chunks - 1 || (n + 1) % scan.chunks_per_state == 0) {
      x.ahead.clear();
      rebuild_states(scan, document, head, n, saved, x);
    }
    Chunk at = chunk_at(scan, document, head, n);
    at.leads_on = leads_on;
    find_state_before(scan, document, head, n, saved, x, x.state_before);
    find_residuals(scan, at, saved, x.w);
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
