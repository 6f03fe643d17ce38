// The chunkwise forward pass of one document and head (recurrences.md, section 2): c tokens at a time.
#pragma once

#include "scan/cpu/coefficients.h"
#include "scan/cpu/product.h"

namespace mdnlab::scan::cpu {
namespace {

template <class T>
struct ForwardTiles {
  Coefficients<T> coefficients;
  T *q, *k, *p;    // [C, padded(K)]; p = k unless p is given
  T* k_t;          // [K, padded(C)]
  T *minus_A, *L;  // [C, padded(C)]
  T *w, *o;        // [C, padded(V)]
  T* k_written;    // [C, padded(K)]
  T *S, *M;        // [K, padded(V)]

  ForwardTiles(Scratch<T>& scratch, const Scan<T>& scan)
      : coefficients(scratch, scan.chunk_size, scan.has_momentum) {
    const std::int64_t C = scan.chunk_size, K = scan.key_width;
    const std::int64_t C_row = padded(C), K_row = padded(K), V_row = padded(scan.value_width);
    q = scratch.take(C * K_row);
    k = scratch.take(C * K_row);
    p = scan.p.data ? scratch.take(C * K_row) : k;
    k_t = scratch.take(K * C_row);
    minus_A = scratch.take_if(scan.has_delta, C * C_row);
    L = scratch.take(C * C_row);
    w = scratch.take(C * V_row);
    o = scratch.take(C * V_row);
    k_written = scratch.take(C * K_row);
    S = scratch.take(K * V_row);
    M = scratch.take_if(scan.has_momentum, K * V_row);
  }
};

// What forward and backward both begin a chunk with: the tiles q, k, p, the scalars, and the products
// ⟨q_t,k_j⟩ (j ≤ t) and ⟨P_t,k_j⟩ (j < t).
template <class T>
void score_chunk(const Scan<T>& scan, std::int64_t token, std::int64_t count, std::int64_t head, T* q, T* k,
                 T* p, T* k_t, T* qk, T* pk) {
  const std::int64_t K = scan.key_width, K_row = padded(K), C_row = padded(scan.chunk_size);
  const std::int64_t key_head = head / (scan.heads / scan.key_heads);
  load_rows(scan.q, token, key_head, count, K, q);
  load_rows(scan.k, token, key_head, count, K, k);
  if (scan.p.data) load_rows(scan.p, token, head, count, K, p);
  transpose(k, count, K, k_t, C_row);
  product<Sum::all, Columns::to_row>(count, padded(count), K, Operand<T>{q, K_row}, k_t, C_row,
                                     Target<T>{qk, C_row});
  if (scan.has_delta) {
    product<Sum::all, Columns::to_row>(count, padded(count), K, Operand<T>{p, K_row}, k_t, C_row,
                                       Target<T>{pk, C_row});
  }
}

template <class T>
void forward_head(const Scan<T>& scan, const Document& document, std::int64_t head, const Results<T>& results,
                  const Saved<T>& saved, const ForwardTiles<T>& x) {
  const std::int64_t K = scan.key_width, V = scan.value_width, C = scan.chunk_size;
  const std::int64_t C_row = padded(C), K_row = padded(K), V_row = padded(V), state = K * V_row;
  const Coefficients<T>& c = x.coefficients;
  const std::int64_t matrix = (document.index * scan.heads + head) * K * V;

  load_matrix(scan.initial_S ? scan.initial_S + matrix : nullptr, K, V, x.S);
  if (scan.has_momentum) load_matrix(scan.initial_M ? scan.initial_M + matrix : nullptr, K, V, x.M);

  std::int64_t chunk = document.first_chunk;
  for (std::int64_t token = document.start; token < document.end; token += C, ++chunk) {
    const std::int64_t count = std::min(C, document.end - token);
    if (saved.states) {
      T* before = saved.states + (head * scan.chunks + chunk) * scan.state_halves() * state;
      std::copy_n(x.S, state, before);
      if (scan.has_momentum) std::copy_n(x.M, state, before + state);
    }

    // 1. Scalars, L and A.
    score_chunk(scan, token, count, head, x.q, x.k, x.p, x.k_t, x.L, x.minus_A);
    compute_coefficients(scan, token, count, head, c);
    form_L(c, count, C_row, x.L);

    // 2. Residuals: w = (I + A)⁻¹ (V − D X).
    load_rows(scan.v, token, head, count, V, x.w);
    if (scan.has_delta) {
      form_minus_A(c, count, C_row, x.minus_A);
      product(count, V_row, K, Operand<T>{x.p, K_row}, x.S, V_row, Target<T>{x.w, V_row, true, c.erase_S});
      if (scan.has_momentum) {
        product(count, V_row, K, Operand<T>{x.p, K_row}, x.M, V_row, Target<T>{x.w, V_row, true, c.erase_M});
      }
      solve(count, V_row, Operand<T>{x.minus_A, C_row}, x.w, V_row);
      if (saved.residuals)
        std::copy_n(x.w, count * V_row, saved.residuals + (head * scan.tokens + token) * V_row);
    }

    // 3. Outputs: O = Q̂ X + L w.
    product(count, V_row, K, Operand<T>{x.q, K_row}, x.S, V_row, Target<T>{x.o, V_row, false, c.read_S});
    if (scan.has_momentum) {
      product(count, V_row, K, Operand<T>{x.q, K_row}, x.M, V_row, Target<T>{x.o, V_row, true, c.read_M});
    }
    product<Sum::to_row>(count, V_row, count, Operand<T>{x.L, C_row}, x.w, V_row,
                         Target<T>{x.o, V_row, true});
    store_rows(x.o, results.o, token, head, count, V);

    // 4. State: X⁺ = Φ X + Ψᵀ w.
    scale_entries(c.alpha_bar[count], state, x.S);
    if (scan.has_momentum) {
      add_scaled(-c.b[count], x.M, state, x.S);
      scale_entries(c.mu_bar[count], state, x.M);
      scale_rows(x.k, c.write_M, count, K_row, x.k_written);
      product(K, V_row, count, Operand<T>{x.k_written, K_row}.transposed(), x.w, V_row,
              Target<T>{x.M, V_row, true});
    }
    scale_rows(x.k, c.write_S, count, K_row, x.k_written);
    product(K, V_row, count, Operand<T>{x.k_written, K_row}.transposed(), x.w, V_row,
            Target<T>{x.S, V_row, true});
  }
  store_matrix(x.S, K, V, results.final_S ? results.final_S + matrix : nullptr);
  if (scan.has_momentum) store_matrix(x.M, K, V, results.final_M ? results.final_M + matrix : nullptr);
}

template <class T>
void forward(const Scan<T>& scan, const Document& document, std::int64_t key_head, const Results<T>& results,
             const Saved<T>& saved, T* scratch) {
  Scratch<T> pieces(scratch);
  const ForwardTiles<T> tiles(pieces, scan);
  const std::int64_t share = scan.heads / scan.key_heads;
  for (std::int64_t head = key_head * share; head < (key_head + 1) * share; ++head) {
    forward_head(scan, document, head, results, saved, tiles);
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
