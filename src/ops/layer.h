// The operations between the projections and the scan. B batch, T time, D hidden, H heads, K head width, W
// taps. Inputs may be any floating dtype; statistics are float32 (float64 for float64) and the result has x's
// dtype.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "ops/documents.h"

namespace mdnlab::ops {

at::ScalarType statistics_dtype(const at::Tensor& x);

// x Wᵀ with the weight in x's dtype. On a GPU, a float32 weight's gradient is summed and given in float32
// where x is bf16 or f16; elsewhere it is rounded to x's dtype on the way.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight);

// x · (mean(x²) + eps)^−½ · weight, over the last dimension.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

// The residual stream: x + branch in x's dtype (undefined: x itself), and its rms_norm in `dtype`.
struct Normed {
  at::Tensor sum, normed;
};
Normed add_rms_norm(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& weight, double eps,
                    at::ScalarType dtype);

// What passes the scan by, to be added to its output: D·x, x in the output's shape and dtype, with a number
// of D for each of N/D.size(-1) numbers of a row of N. Undefined: nothing.
struct Skip {
  at::Tensor x, D;
};

// rms_norm(x) ∘ silu(gate) or ∘ sigmoid(gate), or rms_norm(x ∘ silu(gate)); gate in x's shape and dtype.
// Before all else the skip is added to x.
enum class NormGate { silu, sigmoid, silu_first };
at::Tensor gated_rms_norm(const at::Tensor& x, const at::Tensor& gate, NormGate kind,
                          const at::Tensor& weight, double eps, const Skip& skip = {});

// y = r·x with r = (Σx² + 1e-6)^−½, over the last dimension.
at::Tensor l2_norm(const at::Tensor& x);

// silu(gate) ∘ up
at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up);

// Depthwise causal convolution, then silu: y_t = silu(bias + Σ_i weight[:,0,i] · x_{t−W+1+i}), weight
// (C,1,W). `carried` holds the W−1 inputs before x (B,W−1,C) and is replaced by the last W−1 when it is
// defined. A tap never reaches past its document's start. bias may be undefined, and the weight: silu(x).
at::Tensor short_convolution(const at::Tensor& x_BTC, const at::Tensor& weight, const at::Tensor& bias,
                             const Documents& documents, at::Tensor* carried);

// Its channels from `first` on, (B,T,sizes…), for each of `views`, in any order. Those that share channels
// have their gradients added up where the convolution's own is made, not before.
struct ChannelView {
  std::int64_t first;
  std::vector<std::int64_t> sizes;
};
std::vector<at::Tensor> short_convolution(const at::Tensor& x_BTC, const at::Tensor& weight,
                                          const at::Tensor& bias, const Documents& documents,
                                          at::Tensor* carried, const std::vector<ChannelView>& views);

// What a short_convolution without bias takes.
struct Stream {
  at::Tensor x_BTC, weight;
  at::Tensor* carried = nullptr;
};
struct QueryKey {
  at::Tensor q_BTGK, k_BTGK;
};

// q and k as the scan reads them, from their projections (B,T,G·K): each through its short_convolution, then
// q ← q − exp(D_log)·k where D_log (G) is defined, then l2_norm of each head, and q · K^−½.
QueryKey query_key(const Stream& q, const Stream& k, std::int64_t heads, const at::Tensor& D_log,
                   const Documents& documents);

// Rotary positions on pairs (i, i + K/2) with angle position · theta^(−2i/K); position (B,T) or (1,T), int64.
at::Tensor rotary(const at::Tensor& x_BTHK, const at::Tensor& position_BT, double theta);

}  // namespace mdnlab::ops
