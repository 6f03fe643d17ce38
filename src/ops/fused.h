// Operations of a layer that our CUDA module (scan/cuda_module.h) does in one pass over memory forward and
// one backward. Each says by `takes` what it takes; the rest, other GPUs and other devices are for the
// operations of LibTorch.
//
// x, y and their gradients are float32 or bf16, of one dtype where nothing else is said; what is learned is
// float32, with float32 gradients. Rows of x and of a gate may lie apart, as parts of a wider tensor do.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "ops/decode.h"
#include "ops/gates.h"
#include "ops/layer.h"
#include "ops/recording.h"

namespace mdnlab::ops {

// y = silu(sums of the short convolution + bias) (convolution.h); bias may be undefined, as its gradient then
// is.
struct FusedConvolution {
  // The gradient of y's channels from `first` on, (B,T,·); both multiples of four. Up to four, which add up
  // where they meet, at most two in a channel; one that none is given of has the gradient 0.
  struct Adjoint {
    std::int64_t first;
    at::Tensor dy_BTC;
  };
  struct Gradients {
    at::Tensor dx_BTC, dweight_WC, dbias_C;
  };
  bool (*takes)(const at::Tensor& x_BTC, const at::Tensor& weight_WC);
  at::Tensor (*forward)(const at::Tensor& x_BTC, const at::Tensor& weight_WC, const at::Tensor& bias_C,
                        const at::Tensor& position_BT);
  Gradients (*backward)(const at::Tensor& x_BTC, const at::Tensor& weight_WC, const at::Tensor& bias_C,
                        const at::Tensor& position_BT, const std::vector<Adjoint>& dy);
};

// query_key() of layer.h. The width of a head is that of q's convolution divided by G; correction,
// exp(D_log), may be undefined.
struct FusedQueryKey {
  struct Inputs {
    at::Tensor q_BTC, k_BTC, q_weight_WC, k_weight_WC, correction_G, position_BT;
    std::int64_t heads;
  };
  struct Outputs {
    at::Tensor q_BTC, k_BTC;
  };
  struct Gradients {
    at::Tensor dq_BTC, dk_BTC, dq_weight_WC, dk_weight_WC, dcorrection_G;
  };
  bool (*takes)(const Inputs& in);
  Outputs (*forward)(const Inputs& in);
  Gradients (*backward)(const Inputs& in, const Outputs& adjoints);
};

// gates() of gates.h, without `kept`.
struct FusedGates {
  struct Gradients {
    at::Tensor dx_BTN;
    GateParameters dlearned;
  };
  bool (*takes)(const at::Tensor& x_BTN, const GateParameters& learned);
  GateTensors (*forward)(const GateRule& rule, const at::Tensor& x_BTN, const GateParameters& learned);
  Gradients (*backward)(const GateRule& rule, const at::Tensor& x_BTN, const GateParameters& learned,
                        const GateTensors& adjoints);
};

// channel_decay() of gates.h, y (B,T,H·K) in float32. Heads are a multiple of four wide.
struct FusedChannelDecay {
  struct Inputs {
    at::Tensor x_BTC, rate_log_H, bias_C;
  };
  struct Gradients {
    at::Tensor dx_BTC, drate_log_H, dbias_C;
  };
  bool (*takes)(const Inputs& in);
  at::Tensor (*forward)(const Inputs& in);
  Gradients (*backward)(const Inputs& in, const at::Tensor& dy_BTC);
};

// The norms of layer.h over the last dimension: x + scale·add where add is defined (without a scale: 1),
// gated where gate is. y, add, gate and their gradients are `dtype`, x, the sum and theirs x's dtype.
struct FusedNorm {
  struct Inputs {
    at::Tensor x, add, scale, gate, weight;  // scale: with a gate, of the skip's shape
    NormGate kind = NormGate::silu;          // of the gate
    double eps;
    at::ScalarType dtype;
  };
  struct Outputs {
    at::Tensor y, sum;  // sum: with add, without a scale
  };
  struct Gradients {
    at::Tensor dx, dadd, dscale, dgate, dweight;
  };
  bool (*takes)(const Inputs& in);
  Outputs (*forward)(const Inputs& in);
  // Without a scale in.x is the sum, and in.add is not read.
  Gradients (*backward)(const Inputs& in, const Outputs& adjoints, bool wants_dadd);
};

// swiglu() of layer.h.
struct FusedSwiglu {
  struct Gradients {
    at::Tensor dgate, dup;
  };
  bool (*takes)(const at::Tensor& gate, const at::Tensor& up);
  at::Tensor (*forward)(const at::Tensor& gate, const at::Tensor& up);
  Gradients (*backward)(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& dy);
};

// rotary() of layer.h, or back: its gradient.
struct FusedRotary {
  bool (*takes)(const at::Tensor& x_BTHK);
  at::Tensor (*turn)(const at::Tensor& x_BTHK, const at::Tensor& position_BT, double theta, bool back);
};

// What a chunk of logits says of its labels (cross_entropy.h).
struct FusedCrossEntropy {
  bool (*takes)(const at::Tensor& logits_NV);
  // −log p(label) of each row, (N) in float32: 0 where it has none, NaN where it is no word. With
  // `differentiate` the logits become its gradient by them: softmax − onehot.
  at::Tensor (*losses)(const at::Tensor& logits_NV, const at::Tensor& labels_N, bool differentiate);
};

// x ← factor · x in place, factor a float64 scalar on the device; where it is 1, x is not read.
struct FusedScaling {
  bool (*takes)(const at::Tensor& x, const at::Tensor& factor);
  void (*multiply)(const at::Tensor& x, const at::Tensor& factor);
};

struct Fused {
  FusedConvolution convolution;
  FusedQueryKey query_key;
  FusedGates gates;
  FusedChannelDecay channel_decay;
  FusedNorm norm;
  FusedSwiglu swiglu;
  FusedRotary rotary;
  FusedCrossEntropy cross_entropy;
  FusedScaling scaling;
  FusedDecoding decoding;
  std::unique_ptr<Recording> (*record)(at::Device device, const std::function<void()>& work);
};

// Of libmdnlab_cuda.so, by the symbol below; null on other devices and where there is none.
const Fused* fused(at::Device device);

#define MDNLAB_CUDA_OPERATIONS "mdnlab_cuda_operations"

}  // namespace mdnlab::ops
