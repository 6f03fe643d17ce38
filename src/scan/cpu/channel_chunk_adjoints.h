// The backward pass of one chunk where the decay is channel-wise, phase by phase. channel_backward.h runs the
// phases.
#pragma once

#include "scan/cpu/channel_tiles.h"
#include "scan/cpu/channel_write_adjoints.h"
#include "scan/cpu/solve.h"

namespace mdnlab::scan::cpu {
namespace {

template <class T>
struct ChannelBackwardTiles : ChannelTiles<T> {
  ChannelAdjoints<T> d;
  Tile<T> d_reads;          // [2C,K] of a half of Q̂, and after it of −D
  Tile<T> w, own_w;         // [C,V]; w where forward saved it, or in own_w
  Tile<T> dO, dr;           // [C,V]; dr follows the last row of dO, so that both can be one operand
  Tile<T> w_t;              // [V,C]
  Tile<T> state_t;          // [V,K]
  Tile<T> state_before[2];  // [K,V] where forward saved them, or in own_state
  Tile<T> own_state[2];     // [K,V] below one another, for the chunks of a group but the first
  Tile<T> d_state[2];       // [K,V] adjoints of the state after the chunk, then of that before it

  ChannelBackwardTiles(Scratch<T>& scratch, const Scan<T>& scan)
      : ChannelTiles<T>(scratch, scan, true), d(scratch, scan) {
    const std::int64_t C = scan.chunk_size, K = scan.key_width, V = scan.value_width;
    d_reads = scratch.tile(2 * C, K);
    w = own_w = scratch.tile(C, V);
    dr = dO = scratch.tile(2 * C, V);
    w_t = scratch.tile(V, C);
    state_t = scratch.tile(V, K);
    for (Tile<T>& tile : own_state)
      tile = scratch.tile((scan.chunks_per_state - 1) * scan.key_width, scan.value_width);
    for (Tile<T>& tile : d_state) tile = scratch.tile(K, V);
  }
};

// 1. Residuals: dw = Lᵀ dO + Ψ dX⁺; dr = Uᵀ dw, which is dV.
template <class T>
void adjoint_of_residuals(const Scan<T>& scan, const Chunk& at, ChannelBackwardTiles<T>& x) {
  product<Sum::from_row>(x.ahead, {at.count, x.dr.row, at.count}, transposed(x.L), x.dO, Target<T>{x.dr});
  for (int h = 0; h < scan.halves() && at.leads_on; ++h) {
    product(x.ahead, {at.count, x.dr.row, scan.key_width}, x.writes.left(h, at.count), x.d_state[h],
            added_to(x.dr));
  }
  if (scan.has_delta) solve_transposed(at.count, x.dr.row, x.minus_A, x.dr);
}

// 2. What the residuals meet: dL = lower(dO wᵀ), −dA = strictly lower(dr wᵀ), dΨ = w dX⁺ᵀ.
template <class T>
void adjoint_of_residual_factors(const Scan<T>& scan, const Chunk& at, ChannelBackwardTiles<T>& x) {
  const std::int64_t K = scan.key_width, V = scan.value_width;
  const Extent square{at.count, padded(at.count), V};
  transpose(x.w, at.count, V, x.w_t);
  product<Sum::all, Columns::to_row>(x.ahead, square, x.dO, x.w_t, Target<T>{x.d.L});
  if (scan.has_delta)
    product<Sum::all, Columns::to_row>(x.ahead, square, x.dr, x.w_t, Target<T>{x.d.minus_A});
  for (int h = 0; h < scan.halves(); ++h) {
    const Tile<T> d_left = h == kS ? x.d.S : x.d.M;
    if (at.leads_on) {
      transpose(x.d_state[h], K, V, x.state_t);
      product(x.ahead, {at.count, d_left.row, V}, x.w, x.state_t, Target<T>{d_left});
    } else {
      std::fill_n(d_left.data, at.count * d_left.row, T(0));
    }
  }
}

// `products` holds the adjoint of factor∘rows: d_rows += factor∘products, d_factor += rows∘products.
template <class T>
void fold_channel_products(Tile<T> products, std::int64_t count, Tile<T> factor, Tile<T> rows, Tile<T> d_rows,
                           Tile<T> d_factor) {
  for (std::int64_t i = 0; i < count * rows.row; i += kLanes<T>) {
    const Vector<T> product = load(products.data + i);
    store<T>(d_rows.data + i, load(d_rows.data + i) + load(factor.data + i) * product);
    store<T>(d_factor.data + i, load(d_factor.data + i) + load(rows.data + i) * product);
  }
}

// 3. Through the state before the chunk: dQ̂ = dO Xᵀ, −dD = dr Xᵀ, and through them q, e, ā, b, m̄.
template <class T>
void adjoint_of_reads(const Scan<T>& scan, const Chunk& at, ChannelBackwardTiles<T>& x) {
  const ChannelGates<T>& g = x.gates;
  const std::int64_t K = scan.key_width, rows = scan.has_delta ? 2 * at.count : at.count;
  const Tile<T> dQ = x.d_reads, d_minus_D{dQ.at(at.count), dQ.row};
  const auto after = [](Tile<T> tile) { return Tile<T>{tile.at(1), tile.row}; };
  for (int h = 0; h < scan.halves(); ++h) {
    transpose(x.state_before[h], K, scan.value_width, x.state_t);
    product(x.ahead, {rows, dQ.row, scan.value_width}, x.dO, x.state_t, Target<T>{dQ});
    const Tile<T> factor = h == kS ? g.alpha_bar : g.minus_b;
    const Tile<T> d_factor = h == kS ? x.d.alpha_bar : x.d.minus_b;
    fold_channel_products(dQ, at.count, after(factor), x.q, x.d.q, after(d_factor));
    if (scan.has_delta) fold_channel_products(d_minus_D, at.count, factor, x.e, x.d.e, d_factor);
  }
  if (scan.look_ahead == 0) return;
  scale(T(-scan.look_ahead), dQ, at.count, dQ);  // dQ is the half of M
  fold_channel_products(dQ, at.count, after(g.mu_bar), x.q, x.d.q, after(x.d.mu_bar));
}

// 4. Through Φ to ā_C, b_C and m̄_C: channel c's is a sum over row c of the state.
template <class T>
void adjoint_of_passed_state(const Scan<T>& scan, const Chunk& at, ChannelBackwardTiles<T>& x) {
  const auto& [S, M] = x.state_before;
  const auto& [dS, dM] = x.d_state;
  const auto add_dots = [&](Tile<T> d_state, Tile<T> state, Tile<T> factor) {
    for (std::int64_t c = 0; c < scan.key_width; ++c)
      factor.at(at.count)[c] += dot(d_state.at(c), state.at(c), state.row);
  };
  add_dots(dS, S, x.d.alpha_bar);
  if (!scan.has_momentum) return;
  add_dots(dS, M, x.d.minus_b);
  add_dots(dM, M, x.d.mu_bar);
}

// 5. The recurrences of the coefficients.
template <class T>
void adjoint_of_coefficients(const Scan<T>& scan, const Chunk& at, ChannelBackwardTiles<T>& x) {
  const Readers<T> readers = x.readers(scan);
  adjoint_of_passage(at.count, scan.has_momentum, x.gates, x.d);
  if (scan.has_delta && scan.has_momentum) {
    adjoint_of_writes<true, true>(at.count, x.k, x.gates, readers, x.writes, x.d);
  } else if (scan.has_delta) {
    adjoint_of_writes<true, false>(at.count, x.k, x.gates, readers, x.writes, x.d);
  } else if (scan.has_momentum) {
    adjoint_of_writes<false, true>(at.count, x.k, x.gates, readers, x.writes, x.d);
  } else {
    adjoint_of_writes<false, false>(at.count, x.k, x.gates, readers, x.writes, x.d);
  }
}

// 6. The state before the chunk: dX = Φᵀ dX⁺ + Q̂ᵀ dO − Dᵀ dr.
template <class T>
void adjoint_of_state(const Scan<T>& scan, const Chunk& at, ChannelBackwardTiles<T>& x) {
  const ChannelGates<T>& g = x.gates;
  const std::int64_t K = scan.key_width, rows = scan.has_delta ? 2 * at.count : at.count;
  const auto& [dS, dM] = x.d_state;
  if (at.leads_on) {
    if (scan.has_momentum) {
      scale_rows(dM, g.mu_bar.at(at.count), K, dM);
      add_scaled_rows(dS, g.minus_b.at(at.count), K, dM);
    }
    scale_rows(dS, g.alpha_bar.at(at.count), K, dS);
  }
  for (int h = 0; h < scan.halves(); ++h) {
    product(x.ahead, {K, dS.row, rows}, transposed(x.reads[h]), x.dO,
            at.leads_on ? added_to(x.d_state[h]) : Target<T>{x.d_state[h]});
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
