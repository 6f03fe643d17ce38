// The sums of the short convolution and their gradients, before bias and silu:
//
//     sum_{t,c} = Σ_back weight_{back,c} · x_{t−back,c}
//
// x and sum (B,T,C), weight (W,C) with the present first (back = 0), of one dtype, float32 or float64, and
// contiguous. A tap never reaches past its document's start: back ≤ position_{b,t}, or t where position is
// undefined. Two ways to the same numbers, up to the order of the sums in dweight; a third, with bias and
// silu, is in fused.h.
#pragma once

#include <ATen/core/Tensor.h>

namespace mdnlab::ops {

struct ConvolutionGradients {
  at::Tensor dx_BTC, dweight_WC;
};

// Loops, on the CPU; in its rehearsal (scan/rehearsal.h) none.
at::Tensor convolve_by_loops(const at::Tensor& x_BTC, const at::Tensor& weight_WC,
                             const at::Tensor& position_BT);
ConvolutionGradients convolve_backward_by_loops(const at::Tensor& x_BTC, const at::Tensor& weight_WC,
                                                const at::Tensor& position_BT, const at::Tensor& dsum_BTC);

// A few operations on whole tensors, on any device; nothing of them is read on the host.
at::Tensor convolve_by_tensors(const at::Tensor& x_BTC, const at::Tensor& weight_WC,
                               const at::Tensor& position_BT);
ConvolutionGradients convolve_backward_by_tensors(const at::Tensor& x_BTC, const at::Tensor& weight_WC,
                                                  const at::Tensor& position_BT, const at::Tensor& dsum_BTC);

// x behind the inputs that `carried` holds (undefined: none), which are replaced by the last `past` inputs of
// both, with zeros before the first one ever; null: x.
at::Tensor behind_carried(const at::Tensor& x_BTC, std::int64_t past, at::Tensor* carried);

// The outputs of the last `tokens` inputs.
at::Tensor last_tokens(const at::Tensor& y_BTC, std::int64_t tokens);

// (C,1,W) as a checkpoint has it → (W,C), the present first.
at::Tensor by_tap(const at::Tensor& weight, at::ScalarType dtype);

}  // namespace mdnlab::ops
