// What the kernels of decoding pass over memory: one token of each of R sequences, bf16 where nothing else is
// said. Arrays are contiguous and 16-byte aligned but where a stride from row to row says otherwise.
//
// A decode step is a chain of kernels that each take less time than their weights need to come from memory.
// So each sets out before the one in front of it is done: it asks for its weights, or for its part of the
// state, and only then waits for what it computes with. Nothing else may be read before the wait.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include "ops/cuda/problem.h"
#include "ops/gate_formula.h"
#include "ops/rows_output.h"

namespace mdnlab::ops::cuda {

inline constexpr int kMostParts = 8;
// K of a product: eight rows of it are half of a multiprocessor's shared memory.
inline constexpr int kWidest = 8192;

// One weight of a product.
struct RowsPart {
  RowsOutput output;
  int N;                        // rows of the weight
  int first;                    // of its eights of rows among those of all parts; the launch fills it in
  const __nv_bfloat16* weight;  // (N,K)
  const __nv_bfloat16* up;      // (N,K), of swiglu
  const __nv_bfloat16* x;       // (R,K); null: what the product's norm gives
  const float* bias;            // (N), of store; null: 0
  void* y;                      // (R,N)
  long long y_stride;           // from row to row, in elements
  int taps;                     // of convolve, at most kTaps; 0: no convolution, silu alone
  const float* taps_NW;         // the present last
  __nv_bfloat16* carried_RWN;   // taps − 1 inputs, which move up by one
};

// x̂ = x·r·weight with r = (mean(x²) + eps)^−½ over each `width` numbers of a row.
struct RowsNorm {
  const float* x_RK;  // null: no norm
  const float* weight;
  int width;  // K, or V of the heads of a step, whose x is rounded to bf16 and may be gated
  float eps;
  bool is_of_heads;
  const __nv_bfloat16* gate_RK;  // null: none
  bool gate_is_silu;             // else sigmoid
};

struct RowsProduct {
  int R, K, parts;                      // K a multiple of 32
  int eights, shares, blocks_of_share;  // the launch fills them in
  RowsNorm norm;                        // of parts without an x of their own
  RowsPart part[kMostParts];
};

// Without a norm.
cudaError_t rows_product(const RowsProduct& problem, int multiprocessors, cudaStream_t stream);

// One token of the shared layer of linear rules, from its projections to what o_proj reads: query_key() of
// ops/layer.h without the convolution, gates() of gates.h, the recurrence of scan/chunk.h, gated_rms_norm().
// Head h reads key head h·G/H.
struct MixerStep {
  int R, H, G, K, V;           // K 64, 128 or 256; V a multiple of 32, at most 512
  const float *q_RGK, *k_RGK;  // after convolution and silu
  const float* v_RHV;          // likewise
  const float* D_log_G;        // output correction; null: none
  GateRule rule;
  const __nv_bfloat16* gates_RPH;  // the projections that the rule uses, side by side
  const float* w_H[kGateParameters];
  // Of a channel-wise decay: log α = −exp(rate_log)·softplus(x + bias); null: none. μ is then ν∘α.
  const __nv_bfloat16* channels_RHK;
  const float *rate_log_H, *bias_HK;
  bool has_delta;
  float look_ahead;
  float *S_RHKV, *M_RHKV;         // M null: no momentum
  const __nv_bfloat16* gate_RHV;  // null: none
  bool gate_is_silu;              // else sigmoid
  const float* norm_weight_V;
  float eps;
  __nv_bfloat16* y_RHV;  // of mixer_step()
  float* o_RHV;          // of a program, whose next product has norm and gate in front
};

cudaError_t mixer_step(const MixerStep& problem, cudaStream_t stream);

// What is behind a step whose output is o, in front of o_proj.
inline RowsNorm norm_behind(const MixerStep& step) {
  return {.x_RK = step.o_RHV,
          .weight = step.norm_weight_V,
          .width = step.V,
          .eps = step.eps,
          .is_of_heads = true,
          .gate_RK = step.gate_RHV,
          .gate_is_silu = step.gate_is_silu};
}

// Products and steps of at most kMostOfProgram sequences, one after the other in a single kernel.
inline constexpr int kMostOfProgram = 8;

struct alignas(16) Operation {
  int is_step;
  alignas(16) unsigned char bytes[sizeof(MixerStep) > sizeof(RowsProduct) ? sizeof(MixerStep)
                                                                          : sizeof(RowsProduct)];
};

inline constexpr int kMostOperations = 160, kProgramBytes = 32 * 1024 - 512;  // a kernel takes 32,764 bytes

// bytes + 16·at[i] is the i-th.
struct Program {
  int count, end, widest;  // end likewise; the widest K
  unsigned short at[kMostOperations];
  alignas(16) unsigned char bytes[kProgramBytes];

  // False: no room, or two steps in a row; another program takes it.
  bool add(const MixerStep& step);
  bool add(const RowsProduct& product);
  void clear() { count = end = widest = 0; }

 private:
  bool add(int is_step, const void* problem, int size);
};

cudaError_t run_program(const Program& program, int multiprocessors, cudaStream_t stream);

}  // namespace mdnlab::ops::cuda
