// The chunkwise forward pass of one document and its heads (recurrences.md, section 2).
#pragma once

#include "scan/cpu/chunk_tiles.h"
#include "scan/cpu/solve.h"

namespace mdnlab::scan::cpu {
namespace {

template <class T>
struct ForwardTiles : ChunkTiles<T> {
  Tile<T> w, o;       // [C,V]
  Tile<T> k_written;  // [C,K] a half of Ψ
  Tile<T> S, M;       // [K,V]

  ForwardTiles(Scratch<T>& scratch, const Scan<T>& scan) : ChunkTiles<T>(scratch, scan) {
    const std::int64_t C = scan.chunk_size, K = scan.key_width, V = scan.value_width;
    for (Tile<T>* tile : {&w, &o}) *tile = scratch.tile(C, V);
    k_written = scratch.tile(C, K);
    for (Tile<T>* tile : {&S, &M}) *tile = scratch.tile(K, V);
  }
};

// w = (I + A)⁻¹ (V − D X); without delta w = V.
template <class T>
void residuals(const Scan<T>& scan, const Chunk& at, ForwardTiles<T>& x) {
  const Coefficients<T>& c = x.coefficients;
  load_rows(scan.v, at.token, at.head, at.count, scan.value_width, x.w);
  if (!scan.has_delta) return;
  const Extent read{at.count, x.w.row, scan.key_width};
  product(x.ahead, read, x.p, read_only(x.S), Target<T>{x.w, true, c.erase_S});
  if (scan.has_momentum) product(x.ahead, read, x.p, read_only(x.M), Target<T>{x.w, true, c.erase_M});
  form_minus_A(c, at.count, x.pk, x.pk);
  solve(at.count, x.w.row, x.pk, x.w);
}

// O = Q̂ X + L w
template <class T>
void outputs(const Scan<T>& scan, const Chunk& at, ForwardTiles<T>& x) {
  const Coefficients<T>& c = x.coefficients;
  const Extent read{at.count, x.o.row, scan.key_width};
  product(x.ahead, read, x.q, read_only(x.S), Target<T>{x.o, false, c.read_S});
  if (scan.has_momentum) product(x.ahead, read, x.q, read_only(x.M), Target<T>{x.o, true, c.read_M});
  form_L(c, at.count, x.qk, x.qk);
  product<Sum::to_row>(x.ahead, {at.count, x.o.row, at.count}, x.qk, read_only(x.w), Target<T>{x.o, true});
}

// X ← Φ X + Ψᵀ w
template <class T>
void next_state(const Scan<T>& scan, const Chunk& at, ForwardTiles<T>& x) {
  const Coefficients<T>& c = x.coefficients;
  const std::int64_t K = scan.key_width;
  const auto add_writes = [&](const T* write, Tile<T> state) {
    scale_rows(x.k, write, at.count, x.k_written);
    product(x.ahead, {K, state.row, at.count}, transposed(x.k_written), read_only(x.w),
            Target<T>{state, true});
  };
  if (scan.has_momentum) {
    combine(x.S, c.alpha_bar[at.count], -c.b[at.count], x.M, K);
    scale_entries(x.M, c.mu_bar[at.count], K);
    add_writes(c.write_M, x.M);
  } else {
    scale_entries(x.S, c.alpha_bar[at.count], K);
  }
  add_writes(c.write_S, x.S);
}

template <class T>
void forward_head(const Scan<T>& scan, const Document& document, std::int64_t head, const Results<T>& results,
                  const Saved<T>& saved, ForwardTiles<T>& x) {
  const std::int64_t K = scan.key_width, V = scan.value_width;
  const std::int64_t matrix = (document.index * scan.heads + head) * K * V;
  load_matrix(scan.initial_S ? scan.initial_S + matrix : nullptr, K, V, x.S);
  if (scan.has_momentum) load_matrix(scan.initial_M ? scan.initial_M + matrix : nullptr, K, V, x.M);

  const std::int64_t chunks = chunks_in(document, scan.chunk_size);
  for (std::int64_t n = 0; n < chunks; ++n) {
    const Chunk at = chunk_at(scan, document, head, n);
    T* const residuals_out =
        saved.residuals ? saved.residuals + saved.residual_at(scan, at.head, at.token) : nullptr;
    x.ahead.clear();
    x.ahead.add_rows(scan.v, at.token, head, at.count, V);
    x.ahead.add(residuals_out, at.count * x.w.row);
    x.ahead.add_rows(results.o, at.token, head, at.count, V);
    if (n + 1 < chunks) prefetch_keys(scan, chunk_at(scan, document, head, n + 1), x.ahead);

    if (saved.states) {
      T* const state = saved.states + saved.state_at(scan, head, at.index);
      std::copy_n(x.S.data, K * x.S.row, state);
      if (scan.has_momentum) std::copy_n(x.M.data, K * x.M.row, state + K * x.S.row);
    }
    begin_chunk(scan, at, x);
    residuals(scan, at, x);
    if (residuals_out) std::copy_n(x.w.data, at.count * x.w.row, residuals_out);
    outputs(scan, at, x);
    store_rows(x.o, results.o, at.token, head, at.count, V);
    next_state(scan, at, x);
  }
  store_matrix(x.S, K, V, results.final_S ? results.final_S + matrix : nullptr);
  if (scan.has_momentum) store_matrix(x.M, K, V, results.final_M ? results.final_M + matrix : nullptr);
}

template <class T>
void forward(const Scan<T>& scan, const Document& document, std::int64_t key_head, const Results<T>& results,
             const Saved<T>& saved, T* scratch) {
  const FlushDenormals flush;
  Scratch<T> pieces(scratch);
  ForwardTiles<T> tiles(pieces, scan);
  const std::int64_t share = scan.heads / scan.key_heads;
  for (std::int64_t head = key_head * share; head < (key_head + 1) * share; ++head) {
    forward_head(scan, document, head, results, saved, tiles);
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
