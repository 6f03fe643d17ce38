// The chunkwise forward pass of one document and its heads (recurrences.md, section 2).
#pragma once

#include "scan/cpu/chunk_tiles.h"
#include "scan/cpu/solve.h"

namespace mdnlab::scan::cpu {
namespace {

template <class T>
struct ForwardTiles : ChunkTiles<T> {
  Tile<T> k_t;                                 // [K,C]
  Tile<T> k_written;                           // [C,K] a half of Ψ
  Tile<T> w, o;                                // [C,V]; w where backward looks for it, or in own_w
  Tile<T> output;                              // [C,V] where the result goes, or o
  Tile<T> state_before[2], state_after[2];     // [K,V] where backward looks for them, or both in own_state
  Tile<T> own_w, own_state[2], own_scores[2];  // qk and pk likewise

  ForwardTiles(Scratch<T>& scratch, const Scan<T>& scan) : ChunkTiles<T>(scratch, scan) {
    const std::int64_t C = scan.chunk_size, K = scan.key_width, V = scan.value_width;
    k_t = scratch.tile(K, C);
    k_written = scratch.tile(C, K);
    for (Tile<T>* tile : {&own_w, &o}) *tile = scratch.tile(C, V);
    w = own_w;
    for (Tile<T>& tile : own_state) tile = scratch.tile(K, V);
    for (Tile<T>& tile : own_scores) tile = scratch.tile(C, C);
    this->qk = own_scores[0];
    this->pk = own_scores[1];
  }
};

// QKᵀ and PKᵀ, to the diagonal.
template <class T>
void scores(const Scan<T>& scan, const Chunk& at, ForwardTiles<T>& x) {
  const Extent square{at.count, padded(at.count), scan.key_width};
  transpose(x.k, at.count, scan.key_width, x.k_t);
  product<Sum::all, Columns::to_row>(x.ahead, square, x.q, x.k_t, Target<T>{x.qk});
  if (!scan.has_delta) return;
  product<Sum::all, Columns::to_row>(x.ahead, square, x.p, x.k_t, Target<T>{x.pk});
}

// What both read of the state before the chunk: w = V − D X (without delta V), O = Q̂ X.
template <class T>
void read_state(const Scan<T>& scan, const Chunk& at, ForwardTiles<T>& x) {
  const Extent read{at.count, x.o.row, scan.key_width};
  if (at.from_nothing || !scan.has_delta)
    load_rows(scan.v, at.token, at.head, at.count, scan.value_width, x.w);
  if (at.from_nothing) return;
  const Tile<const T> v = find_rows(scan.v, at.token, at.head, at.count, scan.value_width, x.w);
  for (int h = 0; h < scan.halves(); ++h) {
    const auto& factors = x.coefficients.half[h];
    const Tile<T> state = x.state_before[h];
    if (scan.has_delta) {
      product(x.ahead, read, x.p, state, Target<T>{x.w, {{h == 0 ? v : x.w, T(1)}}, factors.erase});
    }
    Target<T> o{.tile = x.o, .scale = factors.read};
    if (h > 0) o.terms[0] = {x.o, T(1)};
    product(x.ahead, read, x.q, state, o);
  }
}

// w ← (I + A)⁻¹ w, O += L w
template <class T>
void within_chunk(const Scan<T>& scan, const Chunk& at, ForwardTiles<T>& x) {
  const Coefficients<T>& c = x.coefficients;
  if (scan.has_delta) {
    form_minus_A(c, at.count, x.pk, x.minus_A);
    solve(at.count, x.w.row, x.minus_A, x.w);
  }
  form_L(c, at.count, x.qk, x.L);
  Target<T> o{x.output};
  if (!at.from_nothing) o.terms[0] = {x.o, T(1)};
  product<Sum::to_row>(x.ahead, {at.count, x.o.row, at.count}, x.L, x.w, o);
}

// X⁺ = Φ X + Ψᵀ w
template <class T>
void next_state(const Scan<T>& scan, const Chunk& at, ForwardTiles<T>& x) {
  const Coefficients<T>& c = x.coefficients;
  const std::int64_t K = scan.key_width;
  const Tile<T>*before = x.state_before, *after = x.state_after;
  if (!at.leads_on) return;
  for (int h = 0; h < scan.halves(); ++h) {
    Target<T> target{after[h]};
    if (!at.from_nothing) {
      target.terms[0] = {before[h], h == kS ? c.alpha_bar[at.count] : c.mu_bar[at.count]};
      if (h == kS && scan.has_momentum) target.terms[1] = {before[kM], -c.b[at.count]};
    }
    scale_rows(x.k, c.half[h].write, at.count, x.k_written);
    product(x.ahead, {K, after[h].row, at.count}, transposed(x.k_written), x.w, target);
  }
}

// The state before chunk n: where backward will look for it, else in scratch.
template <class T>
void place_state(const Scan<T>& scan, const Document& document, std::int64_t head, std::int64_t n,
                 const Saved<T>& saved, const ForwardTiles<T>& x, Tile<T>* state) {
  const bool is_saved = saved.states && n < chunks_in(document, scan.chunk_size);
  T* place = is_saved ? saved.states + saved.state_at(scan, head, document.first_chunk + n) : nullptr;
  for (int h = 0; h < scan.halves(); ++h) {
    state[h] = x.own_state[h];
    if (is_saved) state[h].data = place + h * scan.key_width * state[h].row;
  }
}

// Memory of this chunk's outputs and the next one's inputs.
template <class T>
void prefetch(const Scan<T>& scan, const Document& document, const Chunk& at, const Results<T>& results,
              ForwardTiles<T>& x) {
  x.ahead.clear();
  x.ahead.add(x.w.data, at.count * x.w.row);
  x.ahead.add_rows(results.o, at.token, at.head, at.count, scan.value_width);
  if (at.token + at.count == document.end) return;
  const Chunk next = chunk_at(scan, document, at.head, at.n + 1);
  prefetch_keys(scan, next, x.ahead);
  x.ahead.add_rows(scan.v, next.token, next.head, next.count, scan.value_width);
}

template <class T>
void forward_head(const Scan<T>& scan, const Document& document, std::int64_t head, const Results<T>& results,
                  const Saved<T>& saved, ForwardTiles<T>& x) {
  const std::int64_t K = scan.key_width, V = scan.value_width;
  const std::int64_t matrix = (document.index * scan.heads + head) * K * V;
  place_state(scan, document, head, 0, saved, x, x.state_after);
  for (int h = 0; h < scan.halves(); ++h) {
    load_matrix(scan.initial_state[h] ? scan.initial_state[h] + matrix : nullptr, K, V, x.state_after[h]);
  }
  const std::int64_t chunks = chunks_in(document, scan.chunk_size);
  for (std::int64_t n = 0; n < chunks; ++n) {
    Chunk at = chunk_at(scan, document, head, n);
    at.leads_on = n + 1 < chunks || results.final_state[kS];
    std::copy_n(x.state_after, 2, x.state_before);
    place_state(scan, document, head, n + 1, saved, x, x.state_after);
    if (saved.residuals) x.w.data = saved.residuals + saved.residual_at(scan, head, at.token);
    if (saved.scores) place_scores(scan, saved, head, document.first_chunk + n, x);
    prefetch(scan, document, at, results, x);

    x.output = place_rows(results.o, at.token, head, V, x.o);
    begin_chunk(scan, at, x);
    scores(scan, at, x);
    read_state(scan, at, x);
    within_chunk(scan, at, x);
    next_state(scan, at, x);
    store_rows(x.output, results.o, at.token, head, at.count, V);
  }
  for (int h = 0; h < scan.halves(); ++h) {
    store_matrix(x.state_after[h], K, V, results.final_state[h] ? results.final_state[h] + matrix : nullptr);
  }
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
