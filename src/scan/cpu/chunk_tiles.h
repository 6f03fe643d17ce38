// What the forward and the backward pass both begin a chunk with.
#pragma once

#include "scan/cpu/coefficients.h"
#include "scan/cpu/flush.h"
#include "scan/cpu/product.h"

namespace mdnlab::scan::cpu {
namespace {

// Chunk n of a document, for one head.
struct Chunk {
  std::int64_t n, head, key_head;
  std::int64_t token, count;  // tokens [token, token + count)
  bool from_nothing;          // the state before it is zero
  bool leads_on = true;       // the state after it matters
};

inline std::int64_t chunks_in(const Document& document, std::int64_t chunk_size) {
  return (document.end - document.start + chunk_size - 1) / chunk_size;
}

template <class T>
Chunk chunk_at(const Scan<T>& scan, const Document& document, std::int64_t head, std::int64_t n) {
  const std::int64_t token = document.start + n * scan.chunk_size;
  return {.n = n,
          .head = head,
          .key_head = head / (scan.heads / scan.key_heads),
          .token = token,
          .count = std::min(scan.chunk_size, document.end - token),
          .from_nothing = n == 0 && !scan.initial_state[kS] && !scan.initial_state[kM]};
}

template <class T>
struct ChunkTiles {
  Coefficients<T> coefficients;
  Tile<const T> q, k, p;  // [C,K] in the inputs or in own_…; p is k unless p is given
  Tile<T> own_q, own_k, own_p;
  Tile<T> qk, pk;      // [C,C] ⟨q_t,k_j⟩ for j ≤ t, ⟨P_t,k_j⟩ for j < t; beyond may hold anything
  Tile<T> L, minus_A;  // [C,C] likewise
  Ahead ahead;

  ChunkTiles(Scratch<T>& scratch, const Scan<T>& scan)
      : coefficients(scratch, scan.chunk_size, scan.look_ahead != 0) {
    const std::int64_t C = scan.chunk_size, K = scan.key_width;
    for (Tile<T>* tile : {&own_q, &own_k, &own_p}) *tile = scratch.tile(C, K);
    for (Tile<T>* tile : {&L, &minus_A}) *tile = scratch.tile(C, C);
  }
};

template <class T>
void begin_chunk(const Scan<T>& scan, const Chunk& at, ChunkTiles<T>& x) {
  const std::int64_t K = scan.key_width;
  x.q = find_rows(scan.q, at.token, at.key_head, at.count, K, x.own_q);
  x.k = find_rows(scan.k, at.token, at.key_head, at.count, K, x.own_k);
  x.p = scan.p.data ? find_rows(scan.p, at.token, at.head, at.count, K, x.own_p) : x.k;
  compute_coefficients(scan, at.token, at.count, at.head, x.coefficients);
}

// qk and pk where forward saves them.
template <class T>
void place_scores(const Scan<T>& scan, const Saved<T>& saved, std::int64_t head, std::int64_t chunk,
                  ChunkTiles<T>& x) {
  const std::int64_t row = padded(scan.chunk_size);
  x.qk = {saved.scores + saved.scores_at(scan, head, chunk), row};
  if (scan.has_delta) x.pk = {x.qk.at(scan.chunk_size), row};
}

template <class T>
void prefetch_keys(const Scan<T>& scan, const Chunk& next, Ahead& ahead) {
  ahead.add_rows(scan.q, next.token, next.key_head, next.count, scan.key_width);
  ahead.add_rows(scan.k, next.token, next.key_head, next.count, scan.key_width);
  ahead.add_rows(scan.p, next.token, next.head, next.count, scan.key_width);
}

}  // namespace
}  // namespace mdnlab::scan::cpu
