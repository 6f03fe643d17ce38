// What the Hopper kernels pass to each other in global memory, and what a launch is told. Letters as in
// scan/chunk.h; C = 64 tokens a chunk. T stands for the inputs' element, __nv_bfloat16 or __half.
#pragma once

#include <cstdint>

namespace mdnlab::scan::cuda {

constexpr int kChunk = 64;

// Keys so wide that a state takes the registers of two warpgroups (wide.cuh).
constexpr int kWideWidth = 256;

// A chunk of a document: its first token in the flattened (B,T), and how many of its 64 rows are tokens.
struct Chunk {
  int token;
  int rows;
};

// Or a segment of one (segments.h).
struct Document {
  int first_chunk;
  int chunks;
};

// The coefficients of one chunk and head (recurrences.md, section 2), for row t = 1..64 of the chunk. Rows
// that are no tokens have α = μ = 1, β = η = 0.
//
// With delta a NaN or infinity in k or a gate of a row would reach the rows before it, through the zeros of
// T⁻¹ in a product. So the row and what follows are no tokens to T⁻¹ and to what r reads, and the states
// after the chunk and these rows of L are NaN. What v does to its own column the forward scan sees
// (tail.cuh).
struct Coefficients {
  float read_S[kChunk];         // ā_t: what r_t reads of the incoming S along k_t (p = αk)
  float read_M[kChunk];         // α_t b_{t−1}: minus what it reads of M
  float out_S[kChunk];          // ā_t: what o_t reads of S along q_t
  float out_M[kChunk];          // b_t + ω m̄_t: minus what it reads of M
  float write_S[kChunk];        // G_{Cj} η_j: what w_j leaves in S along k_j
  float write_M[kChunk];        // R_{Cj} η_j: minus what it leaves in M
  float keep_S, cross, keep_M;  // S ← keep_S S − cross M, M ← keep_M M: ā_C, b_C, m̄_C
  int rows;                     // of the chunk's tokens, up to the first such row
};
static_assert(sizeof(Coefficients) % 16 == 0);

// A 64×64 matrix as a swizzled panel (sm90.cuh), ready for the copy engine.
constexpr int kPanelElements = 64 * 64;

struct Sizes {
  int heads, key_heads;  // H, G
  int value_width;       // V
  int chunks;            // of all documents
  int documents;         // N

  // Of a chunk and head in buffers that have an entry for each.
  constexpr std::int64_t entry(int chunk, int head) const { return std::int64_t{chunk} * heads + head; }
};

// How many key columns a block of adjoints.cuh takes. Wider keys go in parts: every sum over the keys that is
// wanted is one of the terms below, of which each part has its own.
constexpr int adjoint_width(int key_width) { return key_width > 128 ? 128 : key_width; }
constexpr int adjoint_parts(int key_width) { return key_width / adjoint_width(key_width); }

// Whether they keep the sums over the value heads of a key head in registers: with delta or momentum there
// are none left.
constexpr bool keeps_sums(bool has_delta, bool has_momentum) { return !has_delta && !has_momentum; }

// What the gates' adjoints need of the products within and around one chunk of one head (recurrences.md,
// section 3). Nothing here holds a coefficient yet: dL, dA, S and dS⁺ meet G, R, α, η and ω in
// gate_adjoints.cuh.
struct GateTerms {
  // (dL∘QKᵀ)_{tj} at [t][j] for j ≤ t; (dA∘KKᵀ)_{tj} at [j][t] for j < t, dA short of its factor α_t.
  float within[kChunk][kChunk];
  // Of row t: ⟨q_t, S dO_t⟩, ⟨q_t, M dO_t⟩, ⟨k_t, S dr_t⟩, ⟨k_t, M dr_t⟩, ⟨k_t, dS⁺ w_t⟩, ⟨k_t, dM⁺ w_t⟩.
  float query_S[kChunk], query_M[kChunk], key_S[kChunk], key_M[kChunk], write_S[kChunk], write_M[kChunk];
  float S_S, S_M, M_M, unused;  // ⟨dS⁺, S⟩, ⟨dS⁺, M⟩, ⟨dM⁺, M⟩
};

}  // namespace mdnlab::scan::cuda
