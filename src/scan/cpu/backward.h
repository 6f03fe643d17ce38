// The chunkwise backward pass of one document and its heads, last chunk first. Tiles and scalars are rebuilt
// from the inputs; the states before each chunk, the residuals and the scores come from the forward pass.
#pragma once

#include "scan/cpu/chunk_adjoints.h"

namespace mdnlab::scan::cpu {
namespace {

// Residuals where forward saved them; without delta the residual is v.
template <class T>
void find_residuals(const Scan<T>& scan, const Chunk& at, const Saved<T>& saved, Tile<T>& w) {
  if (scan.has_delta) {
    w.data = saved.residuals + saved.residual_at(scan, at.head, at.token);
  } else {
    load_rows(scan.v, at.token, at.head, at.count, scan.value_width, w);
  }
}

// Residuals, scores and state.
template <class T>
void find_saved(const Scan<T>& scan, const Document& document, const Chunk& at, const Saved<T>& saved,
                BackwardTiles<T>& x) {
  T* state = saved.states + saved.state_at(scan, at.head, document.first_chunk + at.n);
  const std::int64_t row = padded(scan.value_width);
  place_scores(scan, saved, at.head, document.first_chunk + at.n, x);
  for (int h = 0; h < scan.halves(); ++h) x.state_before[h] = {state + h * scan.key_width * row, row};
  find_residuals(scan, at, saved, x.w);
}

template <class T>
void load_output_adjoint(const Scan<T>& scan, const Chunk& at, const Rows<const T>& adjoint, Tile<T> dO) {
  if (adjoint.data) {
    load_rows(adjoint, at.token, at.head, at.count, scan.value_width, dO);
  } else {
    std::fill_n(dO.data, at.count * dO.row, T(0));
  }
}

template <class T>
void store_gate(const Scan<T>& scan, const Chunk& at, const T* values, T* target) {
  if (!target) return;
  for (std::int64_t t = 0; t < at.count; ++t) target[(at.token + t) * scan.heads + at.head] = values[t];
}

// A key head's gradient is the sum over its value heads, which come one after another.
template <class T>
bool adds_to_key_head(const Scan<T>& scan, const Chunk& at) {
  return at.head % (scan.heads / scan.key_heads) != 0;
}

template <class T>
void place_gradients(const Scan<T>& scan, const Chunk& at, const Gradients<T>& gradients,
                     BackwardTiles<T>& x) {
  const bool add = adds_to_key_head(scan, at);
  const auto place = [&](const Rows<T>& target, std::int64_t head, Tile<T> own) {
    return add ? own : place_rows(target, at.token, head, scan.key_width, own);
  };
  x.dq = place(gradients.q, at.key_head, x.own_dq);
  x.dk = place(gradients.k, at.key_head, x.own_dk);
  x.dp = scan.p.data ? place(gradients.p, at.head, x.own_dp) : x.dk;
}

template <class T>
void store_gradients(const Scan<T>& scan, const Chunk& at, const BackwardTiles<T>& x,
                     const Gradients<T>& gradients) {
  const auto store = [&](Tile<T> tile, const Rows<T>& target, std::int64_t head, std::int64_t width,
                         bool add) {
    if (target.data) store_rows(tile, target, at.token, head, at.count, width, add);
  };
  const bool add = adds_to_key_head(scan, at);
  store(x.dq, gradients.q, at.key_head, scan.key_width, add);
  store(x.dk, gradients.k, at.key_head, scan.key_width, add);
  store(x.dp, gradients.p, at.head, scan.key_width, false);
  store(x.dr, gradients.v, at.head, scan.value_width, false);
  store_gate(scan, at, x.adjoints.log_alpha, gradients.log_alpha);
  store_gate(scan, at, x.adjoints.log_mu, gradients.log_mu);
  store_gate(scan, at, x.adjoints.beta, gradients.beta);
  store_gate(scan, at, x.adjoints.eta, gradients.eta);
}

// Memory of this chunk's outputs and the next one's inputs.
template <class T>
void prefetch(const Scan<T>& scan, const Document& document, const Chunk& at, const Saved<T>& saved,
              const Adjoints<T>& adjoints, const Gradients<T>& gradients, BackwardTiles<T>& x) {
  const std::int64_t K = scan.key_width, V = scan.value_width;
  x.ahead.clear();
  x.ahead.add_rows(gradients.v, at.token, at.head, at.count, V);
  x.ahead.add_rows(gradients.q, at.token, at.key_head, at.count, K);
  x.ahead.add_rows(gradients.k, at.token, at.key_head, at.count, K);
  x.ahead.add_rows(gradients.p, at.token, at.head, at.count, K);
  if (at.n == 0) return;
  const Chunk next = chunk_at(scan, document, at.head, at.n - 1);
  prefetch_keys(scan, next, x.ahead);
  if (scan.has_delta) {
    x.ahead.add(saved.residuals + saved.residual_at(scan, next.head, next.token), next.count * x.w.row);
  } else {
    x.ahead.add_rows(scan.v, next.token, next.head, next.count, V);
  }
  x.ahead.add_rows(adjoints.o, next.token, next.head, next.count, V);
  const T* state = saved.states + saved.state_at(scan, next.head, document.first_chunk + next.n);
  x.ahead.add(state, scan.halves() * K * x.d_state[kS].row);
  x.ahead.add(saved.scores + saved.scores_at(scan, next.head, document.first_chunk + next.n),
              saved.scores_of_a_chunk(scan));
}

template <class T>
void backward_head(const Scan<T>& scan, const Document& document, std::int64_t head, const Saved<T>& saved,
                   const Adjoints<T>& adjoints, const Gradients<T>& gradients, BackwardTiles<T>& x) {
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

    place_gradients(scan, at, gradients, x);
    begin_chunk(scan, at, x);
    adjoint_of_residuals(scan, at, x);
    adjoint_within_chunk(scan, at, x);
    for (int h = 0; h < scan.halves(); ++h) adjoint_through_state(scan, at, h, x);
    adjoint_of_scalars(scan, at, x);
    if (n > 0 || state_wanted) adjoint_of_state(scan, at, x);
    store_gradients(scan, at, x, gradients);
  }
  for (int h = 0; h < scan.halves(); ++h) {
    T* target = gradients.initial_state[h];
    store_matrix(x.d_state[h], K, V, target ? target + matrix : nullptr);
  }
}

template <class T>
void backward(const Scan<T>& scan, const Document& document, std::int64_t key_head, const Saved<T>& saved,
              const Adjoints<T>& adjoints, const Gradients<T>& gradients, T* scratch) {
  const FlushDenormals flush;
  Scratch<T> pieces(scratch);
  BackwardTiles<T> tiles(pieces, scan);
  const std::int64_t share = scan.heads / scan.key_heads;
  for (std::int64_t head = key_head * share; head < (key_head + 1) * share; ++head) {
    backward_head(scan, document, head, saved, adjoints, gradients, tiles);
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
