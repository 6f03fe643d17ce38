// The sums of the short convolution and their gradients, before bias and silu:
//
//     sum_{t,c} = Σ_back weight_{back,c} · x_{t−back,c}
//
// x and sum (B,T,C), weight (W,C) with the present first (back = 0), of one dtype, float32 or float64, and
// contiguous. A tap never reaches past its document's start: back ≤ position_{b,t}, or t where position is
// undefined. Two ways to the same numbers, up to the order of the sums in dweight; and on GPUs with our
// kernels a third, of which bias and silu are a part.
#pragma once

#include <ATen/core/Tensor.h>

namespace mdnlab::ops {

struct ConvolutionGradients {
  at::Tensor dx_BTC, dweight_WC;
};

// Loops, on the CPU.
at::Tensor convolve_by_loops(const at::Tensor& x_BTC, const at::Tensor& weight_WC,
                             const at::Tensor& position_BT);
ConvolutionGradients convolve_backward_by_loops(const at::Tensor& x_BTC, const at::Tensor& weight_WC,
                                                const at::Tensor& position_BT, const at::Tensor& dsum_BTC);

// A few operations on whole tensors, on any device; nothing of them is read on the host.
at::Tensor convolve_by_tensors(const at::Tensor& x_BTC, const at::Tensor& weight_WC,
                               const at::Tensor& position_BT);
ConvolutionGradients convolve_backward_by_tensors(const at::Tensor& x_BTC, const at::Tensor& weight_WC,
                                                  const at::Tensor& position_BT, const at::Tensor& dsum_BTC);

struct FusedGradients {
  at::Tensor dx_BTC, dweight_WC, dbias_C;
};

// y = silu(sum + bias) in one pass over memory, in the dtype of x; the weight is float32, the bias too or
// undefined.
struct FusedConvolution {
  bool (*takes)(const at::Tensor& x_BTC, const at::Tensor& weight_WC);
  at::Tensor (*forward)(const at::Tensor& x_BTC, const at::Tensor& weight_WC, const at::Tensor& bias_C,
                        const at::Tensor& position_BT);
  FusedGradients (*backward)(const at::Tensor& x_BTC, const at::Tensor& weight_WC, const at::Tensor& bias_C,
                             const at::Tensor& position_BT, const at::Tensor& dy_BTC);
};

// Of libmdnlab_cuda.so (scan/cuda_module.h), by the symbol below; null on other devices and where there is
// none.
const FusedConvolution* fused_convolution(at::Device device);

#define MDNLAB_CUDA_CONVOLUTION "mdnlab_cuda_convolution"

}  // namespace mdnlab::ops
