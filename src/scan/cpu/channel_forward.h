// The chunkwise forward pass of one document and its heads where the decay is channel-wise.
#pragma once

#include "scan/cpu/channel_tiles.h"
#include "scan/cpu/solve.h"

namespace mdnlab::scan::cpu {
namespace {

template <class T>
struct ChannelForwardTiles : ChannelTiles<T> {
  Tile<T> w, o;                             // [C,V]; w where backward looks for it, or in own_w
  Tile<T> state_before[2], state_after[2];  // [K,V] where backward looks for them, or in own_state
  Tile<T> own_w, own_state[2];

  ChannelForwardTiles(Scratch<T>& scratch, const Scan<T>& scan) : ChannelTiles<T>(scratch, scan, false) {
    for (Tile<T>* tile : {&own_w, &o}) *tile = scratch.tile(scan.chunk_size, scan.value_width);
    w = own_w;
    for (Tile<T>& tile : own_state) tile = scratch.tile(scan.key_width, scan.value_width);
  }
};

// w = (I + A)⁻¹ (V − D X); without delta w = V.
template <class T>
void residuals(const Scan<T>& scan, const Chunk& at, ChannelForwardTiles<T>& x) {
  load_rows(scan.v, at.token, at.head, at.count, scan.value_width, x.w);
  if (!scan.has_delta) return;
  for (int h = 0; h < scan.halves() && !at.from_nothing; ++h) {
    const Tile<T> minus_D{x.reads[h].at(at.count), x.reads[h].row};
    product(x.ahead, {at.count, x.w.row, scan.key_width}, minus_D, x.state_before[h], added_to(x.w));
  }
  solve(at.count, x.w.row, x.minus_A, x.w);
}

// O = L w + Q̂ X
template <class T>
void outputs(const Scan<T>& scan, const Chunk& at, ChannelForwardTiles<T>& x) {
  product<Sum::to_row>(x.ahead, {at.count, x.o.row, at.count}, x.L, x.w, Target<T>{x.o});
  for (int h = 0; h < scan.halves() && !at.from_nothing; ++h) {
    product(x.ahead, {at.count, x.o.row, scan.key_width}, x.reads[h], x.state_before[h], added_to(x.o));
  }
}

// The state before chunk n: where backward will look for it, else in scratch.
template <class T>
void place_state(const Scan<T>& scan, const Document& document, std::int64_t head, std::int64_t n,
                 const Saved<T>& saved, const ChannelForwardTiles<T>& x, Tile<T>* state) {
  std::copy_n(x.own_state, 2, state);
  if (saved.states && n < chunks_in(document, scan.chunk_size) && n % scan.chunks_per_state == 0)
    find_state(scan, document, head, n, saved, state);
}

// Memory of this chunk's outputs and the next one's inputs.
template <class T>
void prefetch(const Scan<T>& scan, const Document& document, const Chunk& at, const Results<T>& results,
              ChannelForwardTiles<T>& x) {
  x.ahead.clear();
  if (at.token + at.count < document.end) {
    const Chunk next = chunk_at(scan, document, at.head, at.n + 1);
    prefetch_channel_inputs(scan, next, x.ahead);
    x.ahead.add_rows(scan.v, next.token, next.head, next.count, scan.value_width);
  }
  x.ahead.add_rows(results.o, at.token, at.head, at.count, scan.value_width);
}

template <class T>
void forward_head(const Scan<T>& scan, const Document& document, std::int64_t head, const Results<T>& results,
                  const Saved<T>& saved, ChannelForwardTiles<T>& x) {
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
    prefetch(scan, document, at, results, x);

    begin_channel_chunk(scan, at, x);
    residuals(scan, at, x);
    outputs(scan, at, x);
    const Tile<T> left[2] = {x.writes.left(kS, at.count), x.writes.left(kM, at.count)};
    if (at.leads_on) next_state(scan, at, left, x.w, x.state_before, x, x.state_after);
    store_rows(x.o, results.o, at.token, head, at.count, V);
  }
  for (int h = 0; h < scan.halves(); ++h) {
    store_matrix(x.state_after[h], K, V, results.final_state[h] ? results.final_state[h] + matrix : nullptr);
  }
}

template <class T>
void channel_forward(const Scan<T>& scan, const Document& document, std::int64_t key_head,
                     const Results<T>& results, const Saved<T>& saved, T* scratch) {
  const FlushDenormals flush;
  Scratch<T> pieces(scratch);
  ChannelForwardTiles<T> tiles(pieces, scan);
  const std::int64_t share = scan.heads / scan.key_heads;
  for (std::int64_t head = key_head * share; head < (key_head + 1) * share; ++head) {
    forward_head(scan, document, head, results, saved, tiles);
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
