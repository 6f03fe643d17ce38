// What decoding does of a layer: one token of each of R sequences, in place, without gradients. Kernels of
// our CUDA module, which fetch their weights or state before the kernel in front of them is done, so that
// memory never rests (cuda/decode.h). bf16, on a GPU of compute capability 9.0.
//
// Between two tokens of a sequence some other operation must run on the stream: these kernels read their
// state before those in front of them are done.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "ops/gates.h"
#include "ops/rows_output.h"

namespace mdnlab::ops {

// y of x Wᵀ for one weight (N,K) in bf16, y (R,N) with adjacent columns.
struct RowsPart {
  RowsOutput output;
  at::Tensor weight;
  at::Tensor y;     // bf16; float32 of convolve, add and widen, where what lies between rows is written, too
  at::Tensor x;     // (R,K) bf16; undefined: what the product's norm gives
  at::Tensor up;    // of swiglu: y ← silu(x weightᵀ) ∘ (x upᵀ)
  at::Tensor bias;  // (N), of store
  at::Tensor taps;  // (N,1,W) float32 of convolve, without: silu alone
  at::Tensor carried;  // (R,W−1,N) bf16 of convolve, in place
};

// The rows that are normed first: float32 (R,K), weight (K).
struct RowsNorm {
  at::Tensor x, weight;
  double eps = 0;
};

// The shared layer of linear rules from its projections to the residual stream (rule/linear_mixer.h):
// x ← x + o_proj(norm and gate of what the memory says).
struct MixerStep {
  at::Tensor q_RC, k_RC, v_RC;  // float32, after convolution and silu: G·K, G·K and H·V wide
  at::Tensor D_log;             // (G); undefined: no output correction
  std::int64_t key_heads, heads, key_width;
  GateRule rule;
  at::Tensor gates_RP;  // bf16, the projections that the rule uses side by side
  GateParameters learned;
  at::Tensor channels_RC;     // bf16, H·K wide, of a channel-wise decay; undefined: none
  at::Tensor rate_log, bias;  // (H) and (H·K), of it
  bool has_delta = false;
  double look_ahead = 0;
  at::Tensor S, M;            // float32 (R,H,K,V), in place; M undefined: no momentum
  at::Tensor gate_RC;         // bf16, H·V wide, before its activation; undefined: none
  bool gate_is_silu = false;  // else sigmoid
  at::Tensor norm_weight;     // (V)
  double eps = 0;
  at::Tensor o_weight, x_RD;  // (D,H·V) bf16; float32
};

struct FusedDecoding {
  bool (*takes)(at::Device device, at::ScalarType dtype);
  bool (*takes_taps)(std::int64_t taps);      // of a convolution
  bool (*takes_product)(std::int64_t width);  // K of the weights
  void (*product)(const RowsNorm& norm, const std::vector<RowsPart>& parts);
  // Whether heads are of widths that it takes.
  bool (*takes_mixer)(std::int64_t key_width, std::int64_t value_width);
  void (*mixer)(const MixerStep& step);
  // to_R (R) int64 ← where the largest of each row is, of equal ones the first. Float32, rows at multiples of
  // 16 bytes.
  void (*largest)(const at::Tensor& x_RN, const at::Tensor& to_R);
};

// Where decoding in `dtype` on this device is by our kernels; else null.
const FusedDecoding* fused_decoding(at::Device device, at::ScalarType dtype);

}  // namespace mdnlab::ops
