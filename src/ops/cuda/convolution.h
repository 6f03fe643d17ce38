// The short convolution with bias and silu on a GPU, as functions.
#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/convolution_problem.h"

namespace mdnlab::ops::cuda {

enum class Element { f32, bf16 };

// `taps` is W, 1 … kMostTaps. Forward writes y, backward dx and dweight_RWC. Deterministic.
cudaError_t convolve(const ShortConvolution& problem, int taps, Element element, cudaStream_t stream);
cudaError_t convolve_backward(const ShortConvolution& problem, int taps, Element element,
                              cudaStream_t stream);

}  // namespace mdnlab::ops::cuda
