// The backward pass of one chunk (recurrences.md, section 3), phase by phase. backward.h runs the phases.
#pragma once

#include "scan/cpu/chunk_tiles.h"
#include "scan/cpu/coefficient_adjoints.h"
#include "scan/cpu/solve.h"

namespace mdnlab::scan::cpu {
namespace {

template <class T>
struct BackwardTiles : ChunkTiles<T> {
  CoefficientAdjoints<T> adjoints;
  Tile<T> dq, dk, dp;  // [C,K] in the gradients or in own_…; dp, of the tile P, is dk where that holds k
  Tile<T> own_dq, own_dk, own_dp;
  Tile<T> keys;             // [2C,K] scaled rows, short-lived
  Tile<T> w, own_w;         // [C,V]; w where forward saved it, or in own_w
  Tile<T> dO, dr;           // [C,V]; dr follows the last row of dO, so that both can be one operand
  Tile<T> w_t;              // [V,C]
  Tile<T> state_t;          // [V,K]
  Tile<T> dL, dN;           // [C,C] adjoints of L and −A, then factors of k_j
  Tile<T> state_before[2];  // [K,V] where forward saved them
  Tile<T> d_state[2];       // [K,V] adjoints of the state after the chunk, then of that before it

  BackwardTiles(Scratch<T>& scratch, const Scan<T>& scan)
      : ChunkTiles<T>(scratch, scan), adjoints(scratch, scan.chunk_size) {
    const std::int64_t C = scan.chunk_size, K = scan.key_width, V = scan.value_width;
    for (Tile<T>* tile : {&own_dq, &own_dk, &own_dp}) *tile = scratch.tile(C, K);
    keys = scratch.tile(2 * C, K);
    w = own_w = scratch.tile(C, V);
    dr = dO = scratch.tile(2 * C, V);
    w_t = scratch.tile(V, C);
    state_t = scratch.tile(V, K);
    for (Tile<T>* tile : {&dL, &dN}) *tile = scratch.tile(C, C);
    for (Tile<T>& tile : d_state) tile = scratch.tile(K, V);
  }
};

// 1. Residuals: dw = Lᵀ dO + Ψ dX⁺; dr = Uᵀ dw, which is dV.
template <class T>
void adjoint_of_residuals(const Scan<T>& scan, const Chunk& at, BackwardTiles<T>& x) {
  const Coefficients<T>& c = x.coefficients;
  form_L(c, at.count, x.qk, x.L);
  product<Sum::from_row>(x.ahead, {at.count, x.dr.row, at.count}, transposed(x.L), x.dO, Target<T>{x.dr});
  for (int h = 0; h < scan.halves() && at.leads_on; ++h) {
    product(x.ahead, {at.count, x.dr.row, scan.key_width}, x.k, x.d_state[h],
            added_to(x.dr, c.half[h].write));
  }
  if (!scan.has_delta) return;
  form_minus_A(c, at.count, x.pk, x.minus_A);
  solve_transposed(at.count, x.dr.row, x.minus_A, x.dr);
}

// 2. Within the chunk: dL = lower(dO wᵀ), dN = strictly lower(dr wᵀ), and through them dQ, dP, dK.
template <class T>
void adjoint_within_chunk(const Scan<T>& scan, const Chunk& at, BackwardTiles<T>& x) {
  const Coefficients<T>& c = x.coefficients;
  const Extent square{at.count, padded(at.count), scan.value_width};
  const Extent keys{at.count, padded(scan.key_width), at.count};
  std::fill_n(x.adjoints.eta, padded(at.count), T(0));
  transpose(x.w, at.count, scan.value_width, x.w_t);

  product<Sum::all, Columns::to_row>(x.ahead, square, x.dO, x.w_t, Target<T>{x.dL});
  adjoint_of_L(c, at.count, static_cast<T>(scan.look_ahead), x.qk, x.dL, x.adjoints);
  product<Sum::to_row>(x.ahead, keys, x.dL, x.k, Target<T>{x.dq});
  product<Sum::from_row>(x.ahead, keys, transposed(x.dL), x.q, Target<T>{x.dk});
  if (!scan.has_delta) return;
  product<Sum::all, Columns::to_row>(x.ahead, square, x.dr, x.w_t, Target<T>{x.dN});
  adjoint_of_minus_A(c, at.count, x.pk, x.dN, x.adjoints);
  product<Sum::to_row>(x.ahead, keys, x.dN, x.k, scan.p.data ? Target<T>{x.dp} : added_to(x.dp));
  product<Sum::from_row>(x.ahead, keys, transposed(x.dN), x.p, added_to(x.dk));
}

// 3. Through one half of the state: dQ̂ = dO Xᵀ, −dD = dr Xᵀ, dΨ = w dX⁺ᵀ.
template <class T>
void adjoint_through_state(const Scan<T>& scan, const Chunk& at, int half, BackwardTiles<T>& x) {
  const std::int64_t K = scan.key_width, V = scan.value_width, count = at.count;
  const auto& factors = x.coefficients.half[half];
  const auto& d = x.adjoints.half[half];
  if (at.from_nothing) {
    for (T* unread : {d.read, d.erase}) std::fill_n(unread, count, T(0));
  } else {
    transpose(x.state_before[half], K, V, x.state_t);
    const Extent read{count, padded(K), V};
    product(x.ahead, read, x.dO, x.state_t, Fold<T>{factors.read, x.q, x.dq, d.read});
    if (scan.has_delta) product(x.ahead, read, x.dr, x.state_t, Fold<T>{factors.erase, x.p, x.dp, d.erase});
  }
  if (!at.leads_on) {
    std::fill_n(d.write, count, T(0));
  } else {
    transpose(x.d_state[half], K, V, x.state_t);
    product(x.ahead, {count, padded(K), V}, x.w, x.state_t, Fold<T>{factors.write, x.k, x.dk, d.write});
  }
}

// 4. The gates.
template <class T>
void adjoint_of_scalars(const Scan<T>& scan, const Chunk& at, BackwardTiles<T>& x) {
  CoefficientAdjoints<T>& d = x.adjoints;
  for (T* sums : {d.alpha_bar, d.mu_bar, d.b}) std::fill_n(sums, at.count + 1, T(0));
  if (at.leads_on && !at.from_nothing) {
    const T *dS = x.d_state[kS].data, *dM = x.d_state[kM].data;
    const T *S = x.state_before[kS].data, *M = x.state_before[kM].data;
    const std::int64_t entries = scan.key_width * x.d_state[kS].row;
    d.alpha_bar[at.count] = dot(dS, S, entries);
    if (scan.has_momentum) {
      d.b[at.count] = -dot(dS, M, entries);
      d.mu_bar[at.count] = dot(dM, M, entries);
    }
  }
  adjoint_of_row_factors(scan, x.coefficients, at.count, d);
  adjoint_of_gates(scan, x.coefficients, at.count, d);
}

// 5. The state before the chunk: dX = Φᵀ dX⁺ + Q̂ᵀ dO − Dᵀ dr.
template <class T>
void adjoint_of_state(const Scan<T>& scan, const Chunk& at, BackwardTiles<T>& x) {
  const Coefficients<T>& c = x.coefficients;
  const std::int64_t K = scan.key_width, count = at.count, rows = scan.has_delta ? 2 * count : count;
  const Tile<T> dS = x.d_state[kS];
  // M's first: it reads dS⁺, which the other replaces.
  for (int h = scan.halves() - 1; h >= 0; --h) {
    Target<T> target{x.d_state[h]};
    if (at.leads_on) {
      target.terms[0] = {x.d_state[h], h == kS ? c.alpha_bar[count] : c.mu_bar[count]};
      if (h == kM) target.terms[1] = {dS, -c.b[count]};
    }
    scale_rows(x.q, c.half[h].read, count, x.keys);
    if (scan.has_delta) scale_rows(x.p, c.half[h].erase, count, {x.keys.at(count), x.keys.row});
    product(x.ahead, {K, dS.row, rows}, transposed(x.keys), x.dO, target);
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
