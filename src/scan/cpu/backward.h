// The chunkwise backward pass of one document and head (recurrences.md, section 3), last chunk first. Tiles
// and scalars are rebuilt from the inputs; the states before each chunk and the residuals come from the
// forward pass.
#pragma once

#include "scan/cpu/adjoint.h"
#include "scan/cpu/forward.h"

namespace mdnlab::scan::cpu {
namespace {

template <class T>
struct BackwardTiles {
  Coefficients<T> coefficients;
  CoefficientAdjoints<T> adjoints;
  T *q, *k, *p;     // [C, padded(K)]; p = k unless p is given
  T *dq, *dk, *dp;  // [C, padded(K)]
  T* keys;          // [C, padded(K)] a product or a scaled tile, short-lived
  T* k_t;           // [K, padded(C)]
  T* w_t;           // [V, padded(C)]
  T* state_t;       // [V, padded(K)]
  T *w, *dO, *dr;   // [C, padded(V)]
  T *qk, *pk;       // [C, padded(C)] the products ⟨q_t,k_j⟩, ⟨P_t,k_j⟩
  T *L, *minus_A;   // [C, padded(C)]
  T *dL, *dN;       // [C, padded(C)] adjoints of L and −A, then factors of k_j
  T *dS, *dM;       // [K, padded(V)] adjoints of the state after the chunk

  BackwardTiles(Scratch<T>& scratch, const Scan<T>& scan)
      : coefficients(scratch, scan.chunk_size, scan.has_momentum), adjoints(scratch, scan.chunk_size) {
    const std::int64_t C = scan.chunk_size, K = scan.key_width, V = scan.value_width;
    const std::int64_t C_row = padded(C), K_row = padded(K), V_row = padded(V);
    for (T** tile : {&q, &k, &dq, &dk, &dp, &keys}) *tile = scratch.take(C * K_row);
    p = scan.p.data ? scratch.take(C * K_row) : k;
    k_t = scratch.take(K * C_row);
    w_t = scratch.take(V * C_row);
    state_t = scratch.take(V * K_row);
    for (T** tile : {&w, &dO, &dr}) *tile = scratch.take(C * V_row);
    for (T** tile : {&qk, &L, &dL}) *tile = scratch.take(C * C_row);
    for (T** tile : {&pk, &minus_A, &dN}) *tile = scratch.take_if(scan.has_delta, C * C_row);
    dS = scratch.take(K * V_row);
    dM = scratch.take_if(scan.has_momentum, K * V_row);
  }
};

// One chunk's place and sizes.
template <class T>
struct Chunk {
  const Scan<T>& scan;
  std::int64_t token, count, head;
  std::int64_t K = scan.key_width, V = scan.value_width;
  std::int64_t K_row = padded(K), V_row = padded(V), C_row = padded(scan.chunk_size);
  const T *S, *M;  // [K, padded(V)] the state before the chunk; M null without momentum
};

// products(t,:) holds the adjoint of row t of factor∘rows: into(t,:) += factor[t]·products(t,:), and the
// factor's own adjoint is ⟨products(t,:), rows(t,:)⟩.
template <class T>
void fold_products(const Chunk<T>& at, const T* products, const T* factor, const T* rows, T* into,
                   T* factor_adjoint) {
  for (std::int64_t t = 0; t < at.count; ++t) {
    const std::int64_t row = t * at.K_row;
    Vector<T> total = {};
    for (std::int64_t i = row; i < row + at.K_row; i += kLanes<T>) {
      const Vector<T> entry = load(products + i);
      total += entry * load(rows + i);
      store<T>(into + i, load(into + i) + entry * factor[t]);
    }
    factor_adjoint[t] = sum<T>(total);
  }
}

// 1. Adjoint of the residuals: dw = Lᵀ dO + Ψ dX⁺, dr = Uᵀ dw; dV = dr.
template <class T>
void residual_adjoint(const Chunk<T>& at, const BackwardTiles<T>& x) {
  const Coefficients<T>& c = x.coefficients;
  product<Sum::from_row>(at.count, at.V_row, at.count, Operand<T>{x.L, at.C_row}.transposed(), x.dO, at.V_row,
                         Target<T>{x.dr, at.V_row});
  product(at.count, at.V_row, at.K, Operand<T>{x.k, at.K_row}, x.dS, at.V_row,
          Target<T>{x.dr, at.V_row, true, c.write_S});
  if (at.M) {
    product(at.count, at.V_row, at.K, Operand<T>{x.k, at.K_row}, x.dM, at.V_row,
            Target<T>{x.dr, at.V_row, true, c.write_M});
  }
  if (at.scan.has_delta)
    solve_transposed(at.count, at.V_row, Operand<T>{x.minus_A, at.C_row}, x.dr, at.V_row);
}

// 2. Adjoints of L = lower(dO wᵀ) and of −A = strictly lower(dr wᵀ), and from them dQ, dP, dK within the
// chunk.
template <class T>
void within_chunk(const Chunk<T>& at, const BackwardTiles<T>& x) {
  const Coefficients<T>& c = x.coefficients;
  const std::int64_t count = at.count, columns = padded(count), C_row = at.C_row, K_row = at.K_row;
  std::fill_n(x.adjoints.eta, columns, T(0));
  transpose(x.w, count, at.V, x.w_t, C_row);
  product<Sum::all, Columns::to_row>(count, columns, at.V, Operand<T>{x.dO, at.V_row}, x.w_t, C_row,
                                     Target<T>{x.dL, C_row});
  adjoint_of_L(c, x.qk, count, C_row, x.dL, x.adjoints);
  product<Sum::to_row>(count, K_row, count, Operand<T>{x.dL, C_row}, x.k, K_row, Target<T>{x.dq, K_row});
  product<Sum::from_row>(count, K_row, count, Operand<T>{x.dL, C_row}.transposed(), x.q, K_row,
                         Target<T>{x.dk, K_row});
  if (!at.scan.has_delta) return;
  product<Sum::all, Columns::to_row>(count, columns, at.V, Operand<T>{x.dr, at.V_row}, x.w_t, C_row,
                                     Target<T>{x.dN, C_row});
  adjoint_of_A(c, x.pk, count, C_row, x.dN, x.adjoints);
  product<Sum::to_row>(count, K_row, count, Operand<T>{x.dN, C_row}, x.k, K_row, Target<T>{x.dp, K_row});
  product<Sum::from_row>(count, K_row, count, Operand<T>{x.dN, C_row}.transposed(), x.p, K_row,
                         Target<T>{x.dk, K_row, true});
}

// One half of the state, S or M: its row factors and their adjoints.
template <class T>
struct Half {
  const T *before, *after_adjoint;  // [K, padded(V)]
  const T *read, *erase, *write;
  T *d_read, *d_erase, *d_write;
};

// 3. What a half of the state adds to dQ, dP, dK: dQ̂ = dO Xᵀ, −dD = dr Xᵀ, dΨ = w dX⁺ᵀ.
template <class T>
void across_chunks(const Chunk<T>& at, const BackwardTiles<T>& x, const Half<T>& half) {
  const std::int64_t count = at.count, K_row = at.K_row;
  const Target<T> products{x.keys, K_row};
  transpose(half.before, at.K, at.V, x.state_t, K_row);
  product(count, K_row, at.V, Operand<T>{x.dO, at.V_row}, x.state_t, K_row, products);
  fold_products(at, x.keys, half.read, x.q, x.dq, half.d_read);
  if (at.scan.has_delta) {
    product(count, K_row, at.V, Operand<T>{x.dr, at.V_row}, x.state_t, K_row, products);
    fold_products(at, x.keys, half.erase, x.p, x.dp, half.d_erase);
  }
  transpose(half.after_adjoint, at.K, at.V, x.state_t, K_row);
  product(count, K_row, at.V, Operand<T>{x.w, at.V_row}, x.state_t, K_row, products);
  fold_products(at, x.keys, half.write, x.k, x.dk, half.d_write);
}

// 4. The gates: the state's own part of dā_C, db_C, dm̄_C, then the recurrences backward.
template <class T>
void gate_adjoints(const Chunk<T>& at, const BackwardTiles<T>& x) {
  const CoefficientAdjoints<T>& d = x.adjoints;
  const std::int64_t state = at.K * at.V_row;
  std::fill_n(d.alpha_bar, at.count + 1, T(0));
  std::fill_n(d.b, at.count + 1, T(0));
  *d.mu_bar_end = 0;
  d.alpha_bar[at.count] = dot(x.dS, at.S, state);
  if (at.M) {
    d.b[at.count] = -dot(x.dS, at.M, state);
    *d.mu_bar_end = dot(x.dM, at.M, state);
  }
  adjoint_of_row_factors(x.coefficients, at.count, at.C_row, at.M != nullptr, at.scan.has_delta, d);
  adjoint_of_gates(x.coefficients, at.count, at.C_row, at.M != nullptr, d);
}

// 5. Adjoint of the state before the chunk: dX = Φᵀ dX⁺ + Q̂ᵀ dO − Dᵀ dr.
template <class T>
void state_adjoint(const Chunk<T>& at, const BackwardTiles<T>& x) {
  const Coefficients<T>& c = x.coefficients;
  const std::int64_t state = at.K * at.V_row, count = at.count;
  const auto add_rows = [&](const T* rows, const T* factor, const T* with, T* into) {
    scale_rows(rows, factor, count, at.K_row, x.keys);
    product(at.K, at.V_row, count, Operand<T>{x.keys, at.K_row}.transposed(), with, at.V_row,
            Target<T>{into, at.V_row, true});
  };
  if (at.M) {
    scale_entries(c.mu_bar[count], state, x.dM);
    add_scaled(-c.b[count], x.dS, state, x.dM);
    add_rows(x.q, c.read_M, x.dO, x.dM);
    if (at.scan.has_delta) add_rows(x.p, c.erase_M, x.dr, x.dM);
  }
  scale_entries(c.alpha_bar[count], state, x.dS);
  add_rows(x.q, c.read_S, x.dO, x.dS);
  if (at.scan.has_delta) add_rows(x.p, c.erase_S, x.dr, x.dS);
}

// Where p = αk, its gradient belongs to k and α. Leaves ⟨dP_t, k_t⟩, the part of d log α_t, in the adjoints.
template <class T>
void fold_erase_key(const Chunk<T>& at, const BackwardTiles<T>& x) {
  std::fill_n(x.adjoints.log_alpha, at.count, T(0));
  if (!at.scan.has_delta || at.scan.p.data) return;
  for (std::int64_t t = 0; t < at.count; ++t) {
    x.adjoints.log_alpha[t] = dot(x.dp + t * at.K_row, x.k + t * at.K_row, at.K_row);
  }
  add_scaled(T(1), x.dp, at.count * at.K_row, x.dk);
}

template <class T>
void store_gate(const Chunk<T>& at, const T* values, T* target) {
  if (!target) return;
  for (std::int64_t t = 0; t < at.count; ++t) target[(at.token + t) * at.scan.heads + at.head] = values[t];
}

template <class T>
void store_gradients(const Chunk<T>& at, const BackwardTiles<T>& x, const Gradients<T>& gradients) {
  const std::int64_t share = at.scan.heads / at.scan.key_heads, key_head = at.head / share;
  const bool add = at.head % share != 0;  // the key head's gradient is the sum over its value heads
  const auto rows = [&](const T* tile, const Rows<T>& target, std::int64_t head, std::int64_t width,
                        bool add) {
    if (target.data) store_rows(tile, target, at.token, head, at.count, width, add);
  };
  rows(x.dq, gradients.q, key_head, at.K, add);
  rows(x.dk, gradients.k, key_head, at.K, add);
  rows(x.dp, gradients.p, at.head, at.K, false);
  rows(x.dr, gradients.v, at.head, at.V, false);
  store_gate(at, x.adjoints.log_alpha, gradients.log_alpha);
  store_gate(at, x.adjoints.log_mu, gradients.log_mu);
  store_gate(at, x.adjoints.beta, gradients.beta);
  store_gate(at, x.adjoints.eta, gradients.eta);
}

template <class T>
void backward_head(const Scan<T>& scan, const Document& document, std::int64_t head, const Saved<T>& saved,
                   const Adjoints<T>& adjoints, const Gradients<T>& gradients, const BackwardTiles<T>& x) {
  const std::int64_t K = scan.key_width, V = scan.value_width, C = scan.chunk_size, C_row = padded(C);
  const std::int64_t V_row = padded(V), state = K * V_row;
  const std::int64_t matrix = (document.index * scan.heads + head) * K * V;
  const Coefficients<T>& c = x.coefficients;
  const CoefficientAdjoints<T>& d = x.adjoints;

  load_matrix(adjoints.final_S ? adjoints.final_S + matrix : nullptr, K, V, x.dS);
  if (scan.has_momentum) load_matrix(adjoints.final_M ? adjoints.final_M + matrix : nullptr, K, V, x.dM);

  const std::int64_t chunks = (document.end - document.start + C - 1) / C;
  for (std::int64_t chunk = chunks - 1; chunk >= 0; --chunk) {
    const std::int64_t token = document.start + chunk * C, count = std::min(C, document.end - token);
    const T* before =
        saved.states + (head * scan.chunks + document.first_chunk + chunk) * scan.state_halves() * state;
    const Chunk<T> at{.scan = scan,
                      .token = token,
                      .count = count,
                      .head = head,
                      .S = before,
                      .M = scan.has_momentum ? before + state : nullptr};

    score_chunk(scan, token, count, head, x.q, x.k, x.p, x.k_t, x.qk, x.pk);
    compute_coefficients(scan, token, count, head, c);
    std::copy_n(x.qk, count * C_row, x.L);
    form_L(c, count, C_row, x.L);
    if (scan.has_delta) {
      std::copy_n(x.pk, count * C_row, x.minus_A);
      form_minus_A(c, count, C_row, x.minus_A);
      std::copy_n(saved.residuals + (head * scan.tokens + token) * V_row, count * V_row, x.w);
    } else {
      load_rows(scan.v, token, head, count, V, x.w);
    }
    if (adjoints.o.data) {
      load_rows(adjoints.o, token, head, count, V, x.dO);
    } else {
      std::fill_n(x.dO, count * V_row, T(0));
    }

    residual_adjoint(at, x);
    within_chunk(at, x);
    across_chunks(at, x, Half<T>{at.S, x.dS, c.read_S, c.erase_S, c.write_S, d.read_S, d.erase_S, d.write_S});
    if (at.M) {
      across_chunks(at, x,
                    Half<T>{at.M, x.dM, c.read_M, c.erase_M, c.write_M, d.read_M, d.erase_M, d.write_M});
    }
    fold_erase_key(at, x);
    gate_adjoints(at, x);
    state_adjoint(at, x);
    store_gradients(at, x, gradients);
  }
  store_matrix(x.dS, K, V, gradients.initial_S ? gradients.initial_S + matrix : nullptr);
  if (scan.has_momentum)
    store_matrix(x.dM, K, V, gradients.initial_M ? gradients.initial_M + matrix : nullptr);
}

template <class T>
void backward(const Scan<T>& scan, const Document& document, std::int64_t key_head, const Saved<T>& saved,
              const Adjoints<T>& adjoints, const Gradients<T>& gradients, T* scratch) {
  Scratch<T> pieces(scratch);
  const BackwardTiles<T> tiles(pieces, scan);
  const std::int64_t share = scan.heads / scan.key_heads;
  for (std::int64_t head = key_head * share; head < (key_head + 1) * share; ++head) {
    backward_head(scan, document, head, saved, adjoints, gradients, tiles);
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
