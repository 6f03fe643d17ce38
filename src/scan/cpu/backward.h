// The chunkwise backward pass of one document and its heads, last chunk first. Tiles and scalars are rebuilt
// from the inputs; the states before each chunk and the residuals come from the forward pass.
#pragma once

#include "scan/cpu/chunk_adjoints.h"

namespace mdnlab::scan::cpu {
namespace {

template <class T>
void load_residuals(const Scan<T>& scan, const Chunk& at, const Saved<T>& saved, Tile<T> w) {
  if (scan.has_delta) {
    std::copy_n(saved.residuals + saved.residual_at(scan, at.head, at.token), at.count * w.row, w.data);
  } else {
    load_rows(scan.v, at.token, at.head, at.count, scan.value_width, w);
  }
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

template <class T>
void store_gradients(const Scan<T>& scan, const Chunk& at, const BackwardTiles<T>& x,
                     const Gradients<T>& gradients) {
  const auto store = [&](Tile<T> tile, const Rows<T>& target, std::int64_t head, std::int64_t width,
                         bool add) {
    if (target.data) store_rows(tile, target, at.token, head, at.count, width, add);
  };
  // A key head's gradient is the sum over its value heads, which come one after another.
  const bool add = at.head % (scan.heads / scan.key_heads) != 0;
  store(x.dq, gradients.q, at.key_head, scan.key_width, add);
  store(x.dk, gradients.k, at.key_head, scan.key_width, add);
  store(x.dp, gradients.p, at.head, scan.key_width, false);
  store(x.dr, gradients.v, at.head, scan.value_width, false);
  store_gate(scan, at, x.adjoints.log_alpha, gradients.log_alpha);
  store_gate(scan, at, x.adjoints.log_mu, gradients.log_mu);
  store_gate(scan, at, x.adjoints.beta, gradients.beta);
  store_gate(scan, at, x.adjoints.eta, gradients.eta);
}

// What this chunk writes and the next one reads.
template <class T>
void prefetch(const Scan<T>& scan, const Document& document, const Chunk& at, std::int64_t n,
              const Saved<T>& saved, const Adjoints<T>& adjoints, const Gradients<T>& gradients,
              BackwardTiles<T>& x) {
  const std::int64_t K = scan.key_width, V = scan.value_width;
  x.ahead.clear();
  x.ahead.add(x.S.data, scan.halves() * K * x.S.row);
  x.ahead.add_rows(gradients.v, at.token, at.head, at.count, V);
  x.ahead.add_rows(gradients.q, at.token, at.key_head, at.count, K);
  x.ahead.add_rows(gradients.k, at.token, at.key_head, at.count, K);
  x.ahead.add_rows(gradients.p, at.token, at.head, at.count, K);
  if (n == 0) return;
  const Chunk next = chunk_at(scan, document, at.head, n - 1);
  prefetch_keys(scan, next, x.ahead);
  if (scan.has_delta) {
    x.ahead.add(saved.residuals + saved.residual_at(scan, next.head, next.token), next.count * x.w.row);
  } else {
    x.ahead.add_rows(scan.v, next.token, next.head, next.count, V);
  }
  x.ahead.add_rows(adjoints.o, next.token, next.head, next.count, V);
}

template <class T>
void backward_head(const Scan<T>& scan, const Document& document, std::int64_t head, const Saved<T>& saved,
                   const Adjoints<T>& adjoints, const Gradients<T>& gradients, BackwardTiles<T>& x) {
  const std::int64_t K = scan.key_width, V = scan.value_width, V_row = padded(V);
  const std::int64_t matrix = (document.index * scan.heads + head) * K * V;
  const Coefficients<T>& c = x.coefficients;
  const CoefficientAdjoints<T>& d = x.adjoints;
  load_matrix(adjoints.final_S ? adjoints.final_S + matrix : nullptr, K, V, x.dS);
  if (scan.has_momentum) load_matrix(adjoints.final_M ? adjoints.final_M + matrix : nullptr, K, V, x.dM);

  for (std::int64_t n = chunks_in(document, scan.chunk_size) - 1; n >= 0; --n) {
    const Chunk at = chunk_at(scan, document, head, n);
    x.S = {saved.states + saved.state_at(scan, head, at.index), V_row};
    x.M = {x.S.data + K * V_row, V_row};
    prefetch(scan, document, at, n, saved, adjoints, gradients, x);

    begin_chunk(scan, at, x);
    load_residuals(scan, at, saved, x.w);
    load_output_adjoint(scan, at, adjoints.o, x.dO);
    adjoint_of_residuals(scan, at, x);
    adjoint_within_chunk(scan, at, x);
    adjoint_through_state(
        scan, at, Half<T>{x.S, x.dS, c.read_S, c.erase_S, c.write_S, d.read_S, d.erase_S, d.write_S}, x);
    if (scan.has_momentum) {
      adjoint_through_state(
          scan, at, Half<T>{x.M, x.dM, c.read_M, c.erase_M, c.write_M, d.read_M, d.erase_M, d.write_M}, x);
    }
    adjoint_of_erase_key(scan, at, x);
    adjoint_of_scalars(scan, at, x);
    adjoint_of_state(scan, at, x);
    store_gradients(scan, at, x, gradients);
  }
  store_matrix(x.dS, K, V, gradients.initial_S ? gradients.initial_S + matrix : nullptr);
  if (scan.has_momentum)
    store_matrix(x.dM, K, V, gradients.initial_M ? gradients.initial_M + matrix : nullptr);
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
