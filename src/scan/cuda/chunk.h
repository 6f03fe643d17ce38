// The kernels of the chunkwise scan as plain functions. Each is launched on a stream and returns CUDA's word on the
// launch; all read and write what one ChunkScan names, each its part.
#pragma once

#include <cuda_runtime_api.h>

#include "scan/cuda/problem.h"

namespace mdnlab::scan::cuda {

struct ChunkScan {
  int key_width = 0;  // K
  bool has_delta = false, has_momentum = false;
  Sizes sizes{};
  const Chunk* chunk = nullptr;        // [chunks]
  const Document* document = nullptr;  // [N]
  // bf16, (width, heads, tokens), boxes of 64 columns, one head, 64 tokens.
  CUtensorMap q, k, v, d_o;
  // (tokens,H), null as in scan::Inputs.
  const float *log_alpha = nullptr, *log_mu = nullptr, *beta = nullptr, *eta = nullptr;
  float look_ahead = 0;
  const float *initial_S = nullptr, *initial_M = nullptr;  // [N,H,K,V], null: 0
  float *final_S = nullptr, *final_M = nullptr;            // likewise, null: not wanted
  void* o = nullptr;                                       // (tokens,H,V)

  // Between kernels, an entry for each head and chunk: head · chunks + chunk.
  Coefficients* coefficients = nullptr;
  void *inverse = nullptr, *scores = nullptr;      // panels: T⁻¹ (with delta), L
  void *states = nullptr, *residuals = nullptr;    // X before each chunk, w (with delta): forward.cuh
};

bool has_kernels(int key_width);

// Coefficients, inverse and scores from q, k and the gates.
cudaError_t launch_prepare(const ChunkScan& scan, cudaStream_t stream);
// o and the final states; or, for the backward pass, the states before each chunk and the residuals.
cudaError_t launch_outputs(const ChunkScan& scan, cudaStream_t stream);
cudaError_t launch_states(const ChunkScan& scan, cudaStream_t stream);

}  // namespace mdnlab::scan::cuda
