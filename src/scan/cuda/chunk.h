// The kernels of the chunkwise scan as plain functions. Each is launched on a stream and returns CUDA's word
// on the launch; all read and write what one ChunkScan names, each its part.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include "scan/cuda/problem.h"

namespace mdnlab::scan::cuda {

// Of a (tokens,G,K) tensor; steps in elements.
struct TokenRows {
  const void* data;
  std::int64_t token, head;
};

struct ChunkScan {
  int key_width = 0;  // K
  bool has_delta = false, has_momentum = false;
  // Then without momentum there is beta alone, no eta; with it μ = ν∘α, and log_mu is log ν.
  bool has_channel_decay = false;
  Sizes sizes{};
  int multiprocessors = 0;
  bool is_half = false;                // q, k, v, o and their adjoints are f16, else bf16
  const Chunk* chunk = nullptr;        // [chunks]
  const Document* document = nullptr;  // [N]
  // (width, heads, tokens), boxes of 64 columns, one head, 64 tokens.
  CUtensorMap q, k, v, d_o;
  TokenRows q_rows{}, k_rows{};  // of the same q and k
  // (tokens,H), log_alpha (tokens,H,K) with channel-wise decay; null as in scan::Inputs.
  const float *log_alpha = nullptr, *log_mu = nullptr, *beta = nullptr, *eta = nullptr;
  float look_ahead = 0;
  const float *initial_S = nullptr, *initial_M = nullptr;  // [N,H,K,V], null: 0
  float *final_S = nullptr, *final_M = nullptr;            // likewise, null: not wanted
  void* o = nullptr;                                       // (tokens,H,V)

  // Between kernels, an entry for each chunk and head (Sizes::entry).
  Coefficients* coefficients = nullptr;        // where has_coefficients()
  void *inverse = nullptr, *scores = nullptr;  // panels: T⁻¹ − I (with delta), L
  // X before each chunk, w (with delta, or channel-wise decay): forward.cuh
  void *states = nullptr, *residuals = nullptr;
  void* d_states = nullptr;          // dX⁺ after each chunk, laid out as X
  GateTerms* terms = nullptr;        // adjoint_parts() of them; as coefficients
  void* channel_operands = nullptr;  // with channel-wise decay in place of inverse and scores
  void* channel_products = nullptr;
  void* channel_pairs = nullptr;  // with momentum besides; null: no backward pass follows

  // Adjoints, of the shapes above.
  const float *d_final_S = nullptr, *d_final_M = nullptr;  // null: 0
  CUtensorMap d_r;                                       // of d_v, as d_o; with delta, or channel-wise decay
  void *d_q = nullptr, *d_k = nullptr, *d_v = nullptr;   // (tokens,G,K), (tokens,H,V)
  float* partial = nullptr;                              // partial_elements(), where it is not 0
  float *d_initial_S = nullptr, *d_initial_M = nullptr;  // null: not wanted
  float *d_log_alpha = nullptr, *d_log_mu = nullptr, *d_beta = nullptr, *d_eta = nullptr;  // likewise
};

// Without momentum channel-wise decay has none but for the scales of f16 where K is 256.
bool has_coefficients(const ChunkScan& scan);

// Bytes of an entry of channel_operands and of channel_products, for a key width, and of channel_pairs.
std::int64_t channel_operand_bytes(int key_width);
std::int64_t channel_product_bytes(int key_width);
std::int64_t channel_pair_bytes();

// Coefficients, inverse and scores from q, k and the gates; or channel_operands.
cudaError_t launch_prepare(const ChunkScan& scan, cudaStream_t stream);
// o and the final states; or, for the backward pass, the states before each chunk and the residuals, and the
// final states (where `states` is null these alone). Value columns from v's own width on are 0.
cudaError_t launch_outputs(const ChunkScan& scan, cudaStream_t stream);
cudaError_t launch_states(const ChunkScan& scan, cudaStream_t stream);
// d_v, d_states and the adjoints of the initial states, from d_o and those of the final ones.
cudaError_t launch_reverse(const ChunkScan& scan, cudaStream_t stream);
// d_q, d_k and the terms of the gates' adjoints; with channel-wise decay d_log_alpha itself, and without
// momentum d_beta and no terms.
std::int64_t partial_elements(const ChunkScan& scan);
int adjoint_blocks(const ChunkScan& scan);  // of each part of the keys, without channel-wise decay
cudaError_t launch_adjoints(const ChunkScan& scan, cudaStream_t stream);
cudaError_t launch_gate_adjoints(const ChunkScan& scan, cudaStream_t stream);
}  // namespace mdnlab::scan::cuda
