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

// One weight of a product.
struct RowsPart {
  RowsOutput output;
  int N;                        // rows of the weight
  const __nv_bfloat16* weight;  // (N,K)
  const __nv_bfloat16* up;      // (N,K), of swiglu
  const __nv_bfloat16* x;       // (R,K); null: what the product's norm gives
  const float* bias;            // (N), of store; null: 0
  void* y;                      // (R,N)
  long long y_stride;           // from row to row, in elements; of widen all of a row is the kernel's
  int taps;                     // of convolve, at most kTaps; 0: no convolution, silu alone
  const float* taps_NW;         // the present last
  __nv_bfloat16* carried_RWN;   // taps − 1 inputs, which move up by one
};

// x̂ = x·r·weight with r = (mean(x²) + eps)^−½, of the residual stream.
struct RowsNorm {
  const float* x_RK;  // null: no norm
  const float* weight;
  float eps;
};

struct RowsProduct {
  int R, K, parts;  // K a multiple of 32, of more rows than kFewRows of 64
  RowsNorm norm;    // of parts without an x of their own
  RowsPart part[kMostParts];
};

// All parts are swiglu, or all are add, with an x of their own, or none is either. The first of these takes no
// add, and a norm where it is not wider than widest_normed(); the second only add; both at most kFewRows rows.
// The third takes more, without a norm.
inline constexpr int kFewRows = 16;
constexpr int widest_normed(int R) { return R <= 8 ? 2048 : 1024; }
cudaError_t few_rows_product(const RowsProduct& problem, int multiprocessors, cudaStream_t stream);
cudaError_t few_rows_sum(const RowsProduct& problem, int multiprocessors, cudaStream_t stream);
cudaError_t many_rows_product(const RowsProduct& problem, int multiprocessors, cudaStream_t stream);
// x̂ (R,K) of x, K a multiple of four.
cudaError_t norm_rows(const RowsNorm& norm, int R, int K, __nv_bfloat16* y_RK, cudaStream_t stream);

// Where the largest of each row's N numbers is, of equal ones the first; rows 16-byte aligned, and of whole
// 16 bytes.
cudaError_t largest_of_rows(const float* x_RN, int R, int N, long long stride, long long* to_R,
                            cudaStream_t stream);

// One token of the shared layer of linear rules, from its projections to what o_proj reads: query_key() of
// ops/layer.h without the convolution, gates() of gates.h, the recurrence of scan/chunk.h, gated_rms_norm().
// Head h reads key head h·G/H.
struct MixerStep {
  int R, H, G, K, V;           // K 64, 128 or 256; V a multiple of 32, at most 512
  const float *q_RGK, *k_RGK;  // after convolution and silu
  const float* v_RHV;          // likewise
  const float* D_log_G;        // output correction; null: none
  GateRuleOf<float> rule;
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
  __nv_bfloat16* y_RHV;
};

cudaError_t mixer_step(const MixerStep& problem, cudaStream_t stream);

}  // namespace mdnlab::ops::cuda
