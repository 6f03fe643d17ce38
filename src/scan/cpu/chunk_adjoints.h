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
  Tile<T> dq, dk, dp;  // [C,K]; dp of the tile P
  Tile<T> keys;        // [C,K] short-lived: a product, or scaled rows
  Tile<T> w, dO, dr;   // [C,V]
  Tile<T> w_t;         // [V,C]
  Tile<T> state_t;     // [V,K]
  Tile<T> L, minus_A;  // [C,C]
  Tile<T> dL, dN;      // [C,C] adjoints of L and −A, then factors of k_j
  Tile<T> S, M;        // [K,V] the state before the chunk, where forward saved it
  Tile<T> dS, dM;      // [K,V] the adjoint of the state after the chunk, then of that before it

  BackwardTiles(Scratch<T>& scratch, const Scan<T>& scan)
      : ChunkTiles<T>(scratch, scan), adjoints(scratch, scan.chunk_size) {
    const std::int64_t C = scan.chunk_size, K = scan.key_width, V = scan.value_width;
    for (Tile<T>* tile : {&dq, &dk, &dp, &keys}) *tile = scratch.tile(C, K);
    for (Tile<T>* tile : {&w, &dO, &dr}) *tile = scratch.tile(C, V);
    w_t = scratch.tile(V, C);
    state_t = scratch.tile(V, K);
    for (Tile<T>* tile : {&L, &minus_A, &dL, &dN}) *tile = scratch.tile(C, C);
    for (Tile<T>* tile : {&dS, &dM}) *tile = scratch.tile(K, V);
  }
};

// 1. Residuals: dw = Lᵀ dO + Ψ dX⁺; dr = Uᵀ dw, which is dV.
template <class T>
void adjoint_of_residuals(const Scan<T>& scan, const Chunk& at, BackwardTiles<T>& x) {
  const Coefficients<T>& c = x.coefficients;
  const Extent written{at.count, x.dr.row, scan.key_width};
  form_L(c, at.count, x.qk, x.L);
  product<Sum::from_row>(x.ahead, {at.count, x.dr.row, at.count}, transposed(x.L), read_only(x.dO),
                         Target<T>{x.dr});
  product(x.ahead, written, x.k, read_only(x.dS), Target<T>{x.dr, true, c.write_S});
  if (scan.has_momentum) product(x.ahead, written, x.k, read_only(x.dM), Target<T>{x.dr, true, c.write_M});
  if (!scan.has_delta) return;
  form_minus_A(c, at.count, x.pk, x.minus_A);
  solve_transposed(at.count, x.dr.row, x.minus_A, x.dr);
}

// 2. Within the chunk: dL = lower(dO wᵀ), dN = strictly lower(dr wᵀ), and through them dQ, dP, dK.
template <class T>
void adjoint_within_chunk(const Scan<T>& scan, const Chunk& at, BackwardTiles<T>& x) {
  const Coefficients<T>& c = x.coefficients;
  const Extent square{at.count, padded(at.count), scan.value_width};
  const Extent keys{at.count, x.k.row, at.count};
  std::fill_n(x.adjoints.eta, padded(at.count), T(0));
  transpose(read_only(x.w), at.count, scan.value_width, x.w_t);

  product<Sum::all, Columns::to_row>(x.ahead, square, x.dO, read_only(x.w_t), Target<T>{x.dL});
  adjoint_of_L(c, at.count, x.qk, x.dL, x.adjoints);
  product<Sum::to_row>(x.ahead, keys, x.dL, read_only(x.k), Target<T>{x.dq});
  product<Sum::from_row>(x.ahead, keys, transposed(x.dL), read_only(x.q), Target<T>{x.dk});
  if (!scan.has_delta) return;
  product<Sum::all, Columns::to_row>(x.ahead, square, x.dr, read_only(x.w_t), Target<T>{x.dN});
  adjoint_of_minus_A(c, at.count, x.pk, x.dN, x.adjoints);
  product<Sum::to_row>(x.ahead, keys, x.dN, read_only(x.k), Target<T>{x.dp});
  product<Sum::from_row>(x.ahead, keys, transposed(x.dN), read_only(x.p), Target<T>{x.dk, true});
}

// `products` holds the adjoint of factor∘rows: into(t,:) += factor[t]·products(t,:), and the factor's own
// adjoint is ⟨products(t,:), rows(t,:)⟩.
template <class T>
void fold_products(Tile<T> products, std::int64_t count, const T* factor, Tile<T> rows, Tile<T> into,
                   T* factor_adjoint) {
  for (std::int64_t t = 0; t < count; ++t) {
    const T *product = products.at(t), *row = rows.at(t);
    T* sum_to = into.at(t);
    Vector<T> total = {};
    for (std::int64_t i = 0; i < products.row; i += kLanes<T>) {
      const Vector<T> entry = load(product + i);
      total += entry * load(row + i);
      store<T>(sum_to + i, load(sum_to + i) + entry * factor[t]);
    }
    factor_adjoint[t] = sum<T>(total);
  }
}

// A half of the state, S or M, with its row factors and their adjoints.
template <class T>
struct Half {
  Tile<T> before, after_adjoint;
  const T *read, *erase, *write;
  T *d_read, *d_erase, *d_write;
};

// 3. Through a half of the state: dQ̂ = dO Xᵀ, −dD = dr Xᵀ, dΨ = w dX⁺ᵀ.
template <class T>
void adjoint_through_state(const Scan<T>& scan, const Chunk& at, const Half<T>& half, BackwardTiles<T>& x) {
  const Extent keys{at.count, x.keys.row, scan.value_width};
  transpose(read_only(half.before), scan.key_width, scan.value_width, x.state_t);
  product(x.ahead, keys, x.dO, read_only(x.state_t), Target<T>{x.keys});
  fold_products(x.keys, at.count, half.read, x.q, x.dq, half.d_read);
  if (scan.has_delta) {
    product(x.ahead, keys, x.dr, read_only(x.state_t), Target<T>{x.keys});
    fold_products(x.keys, at.count, half.erase, x.p, x.dp, half.d_erase);
  }
  transpose(read_only(half.after_adjoint), scan.key_width, scan.value_width, x.state_t);
  product(x.ahead, keys, x.w, read_only(x.state_t), Target<T>{x.keys});
  fold_products(x.keys, at.count, half.write, x.k, x.dk, half.d_write);
}

// 4. Where p = αk, dP belongs to k and α: dk += dP, and α dα gets ⟨dP_t, k_t⟩ (the tile P holds k, e = α).
template <class T>
void adjoint_of_erase_key(const Scan<T>& scan, const Chunk& at, BackwardTiles<T>& x) {
  std::fill_n(x.adjoints.log_alpha, at.count, T(0));
  if (!scan.has_delta || scan.p.data) return;
  for (std::int64_t t = 0; t < at.count; ++t) x.adjoints.log_alpha[t] = dot(x.dp.at(t), x.k.at(t), x.k.row);
  combine(x.dk, T(1), T(1), x.dp, at.count);
}

// 5. The gates.
template <class T>
void adjoint_of_scalars(const Scan<T>& scan, const Chunk& at, BackwardTiles<T>& x) {
  CoefficientAdjoints<T>& d = x.adjoints;
  const std::int64_t state = scan.key_width * x.dS.row;
  std::fill_n(d.alpha_bar, at.count + 1, T(0));
  std::fill_n(d.b, at.count + 1, T(0));
  d.alpha_bar[at.count] = dot(x.dS.data, x.S.data, state);
  d.mu_bar_end = 0;
  if (scan.has_momentum) {
    d.b[at.count] = -dot(x.dS.data, x.M.data, state);
    d.mu_bar_end = dot(x.dM.data, x.M.data, state);
  }
  adjoint_of_row_factors(scan, x.coefficients, at.count, d);
  adjoint_of_gates(x.coefficients, at.count, scan.has_momentum, d);
}

// 6. The state before the chunk: dX = Φᵀ dX⁺ + Q̂ᵀ dO − Dᵀ dr.
template <class T>
void adjoint_of_state(const Scan<T>& scan, const Chunk& at, BackwardTiles<T>& x) {
  const Coefficients<T>& c = x.coefficients;
  const std::int64_t K = scan.key_width;
  const auto add = [&](Tile<T> rows, const T* factor, Tile<T> adjoint, Tile<T> state) {
    scale_rows(rows, factor, at.count, x.keys);
    product(x.ahead, {K, state.row, at.count}, transposed(x.keys), read_only(adjoint),
            Target<T>{state, true});
  };
  if (scan.has_momentum) {
    combine(x.dM, c.mu_bar[at.count], -c.b[at.count], x.dS, K);
    add(x.q, c.read_M, x.dO, x.dM);
    if (scan.has_delta) add(x.p, c.erase_M, x.dr, x.dM);
  }
  scale_entries(x.dS, c.alpha_bar[at.count], K);
  add(x.q, c.read_S, x.dO, x.dS);
  if (scan.has_delta) add(x.p, c.erase_S, x.dr, x.dS);
}

}  // namespace
}  // namespace mdnlab::scan::cpu
