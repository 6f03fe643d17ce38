// What the forward and the backward pass both begin a chunk with where the decay is channel-wise.
#pragma once

#include "scan/cpu/channel_writes.h"
#include "scan/cpu/chunk_tiles.h"

namespace mdnlab::scan::cpu {
namespace {

template <class T>
struct ChannelTiles {
  Tile<T> q, k, e;  // [C,K]; e = −p
  ChannelGates<T> gates;
  Writes<T> writes;
  Tile<T> L, minus_A;  // [C,C]
  Tile<T> reads[2];    // [2C,K] how the rows of q, and after them those of e, read a half of the state
  Ahead ahead;

  ChannelTiles(Scratch<T>& scratch, const Scan<T>& scan, bool keeps_all)
      : gates(scratch, scan), writes(scratch, scan, keeps_all) {
    const std::int64_t C = scan.chunk_size, K = scan.key_width;
    for (Tile<T>* tile : {&q, &k, &e}) *tile = scratch.tile(C, K);
    for (Tile<T>* tile : {&L, &minus_A}) *tile = scratch.tile(C, C);
    for (Tile<T>& tile : reads) tile = scratch.tile(2 * C, K);
  }

  Readers<T> readers(const Scan<T>& scan) const { return {q, e, T(scan.look_ahead), L, minus_A}; }
};

// out = factor · a∘b
template <class T>
void multiply_rows(T factor, Tile<T> a, Tile<T> b, std::int64_t rows, Tile<T> out) {
  for (std::int64_t i = 0; i < rows * out.row; i += kLanes<T>) {
    store<T>(out.data + i, load(a.data + i) * load(b.data + i) * factor);
  }
}

// out(t,:) += factor[t] · tile(t,:)
template <class T>
void add_scaled_rows(Tile<T> tile, const T* factor, std::int64_t rows, Tile<T> out) {
  for (std::int64_t t = 0; t < rows; ++t) {
    for (std::int64_t i = 0; i < tile.row; i += kLanes<T>) {
      store<T>(out.at(t) + i, load(out.at(t) + i) + load(tile.at(t) + i) * factor[t]);
    }
  }
}

// e = −p, by default −α∘k.
template <class T>
void load_erase(const Scan<T>& scan, const Chunk& at, ChannelTiles<T>& x) {
  if (!scan.p.data) return multiply_rows(T(-1), x.gates.alpha, x.k, at.count, x.e);
  load_rows(scan.p, at.token, at.head, at.count, scan.key_width, x.e);
  scale(T(-1), x.e, at.count, x.e);
}

// Q̂ = [ā_t∘q_t , −(b_t + ω m̄_t)∘q_t] and −D = [ā_{t−1}∘e_t , −b_{t−1}∘e_t], a half each.
template <class T>
void form_reads(const Scan<T>& scan, const Chunk& at, ChannelTiles<T>& x) {
  const ChannelGates<T>& g = x.gates;
  const T look_ahead = T(scan.look_ahead);
  const auto& [S, M] = x.reads;
  multiply_rows(T(1), {g.alpha_bar.at(1), x.q.row}, x.q, at.count, S);
  if (scan.has_delta) multiply_rows(T(1), g.alpha_bar, x.e, at.count, {S.at(at.count), S.row});
  if (!scan.has_momentum) return;
  for (std::int64_t i = 0; i < at.count * x.q.row; i += kLanes<T>) {
    const Vector<T> read = load(g.minus_b.at(1) + i) - look_ahead * load(g.mu_bar.at(1) + i);
    store<T>(M.data + i, read * load(x.q.data + i));
  }
  if (scan.has_delta) multiply_rows(T(1), g.minus_b, x.e, at.count, {M.at(at.count), M.row});
}

template <class T>
void begin_channel_chunk(const Scan<T>& scan, const Chunk& at, ChannelTiles<T>& x) {
  load_rows(scan.q, at.token, at.key_head, at.count, scan.key_width, x.q);
  load_rows(scan.k, at.token, at.key_head, at.count, scan.key_width, x.k);
  compute_channel_gates(scan, at.token, at.count, at.head, x.gates);
  if (scan.has_delta) load_erase(scan, at, x);
  if (!at.from_nothing) form_reads(scan, at, x);
  const Readers<T> readers = x.readers(scan);
  if (scan.has_delta && scan.has_momentum) {
    carry_writes<true, true>(at.count, x.k, x.gates, readers, x.writes);
  } else if (scan.has_delta) {
    carry_writes<true, false>(at.count, x.k, x.gates, readers, x.writes);
  } else if (scan.has_momentum) {
    carry_writes<false, true>(at.count, x.k, x.gates, readers, x.writes);
  } else {
    carry_writes<false, false>(at.count, x.k, x.gates, readers, x.writes);
  }
}

// S⁺ = ā_C∘S − b_C∘M, M⁺ = m̄_C∘M, factors of rows. The state after may lie where that before does.
template <class T>
void pass_state(const Scan<T>& scan, std::int64_t count, const ChannelGates<T>& g, const Tile<T>* before,
                const Tile<T>* after) {
  scale_rows(before[kS], g.alpha_bar.at(count), scan.key_width, after[kS]);
  if (!scan.has_momentum) return;
  add_scaled_rows(before[kM], g.minus_b.at(count), scan.key_width, after[kS]);
  scale_rows(before[kM], g.mu_bar.at(count), scan.key_width, after[kM]);
}

// X⁺ = Φ X + Ψᵀ w
template <class T>
void next_state(const Scan<T>& scan, const Chunk& at, const Tile<T>* left, Tile<T> w, const Tile<T>* before,
                ChannelTiles<T>& x, const Tile<T>* after) {
  if (!at.from_nothing) pass_state(scan, at.count, x.gates, before, after);
  for (int h = 0; h < scan.halves(); ++h) {
    product(x.ahead, {scan.key_width, after[h].row, at.count}, transposed(left[h]), w,
            at.from_nothing ? Target<T>{after[h]} : added_to(after[h]));
  }
}

// Where the state before chunk n, the first of a group, is saved.
template <class T>
void find_state(const Scan<T>& scan, const Document& document, std::int64_t head, std::int64_t n,
                const Saved<T>& saved, Tile<T>* state) {
  const std::int64_t group = document.first_chunk + n / scan.chunks_per_state, row = padded(scan.value_width);
  T* place = saved.states + saved.state_at(scan, head, group);
  for (int h = 0; h < scan.halves(); ++h) state[h] = {place + h * scan.key_width * row, row};
}

template <class T>
void prefetch_channel_inputs(const Scan<T>& scan, const Chunk& next, Ahead& ahead) {
  prefetch_keys(scan, next, ahead);
  const std::int64_t K = scan.key_width;
  ahead.add_rows(gate_rows(scan, scan.log_alpha, K), next.token, next.head, next.count, K);
  if (scan.has_channel_mu) {
    ahead.add_rows(gate_rows(scan, scan.log_mu, K), next.token, next.head, next.count, K);
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
