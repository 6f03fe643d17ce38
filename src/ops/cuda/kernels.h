// The kernels of this folder as functions. All are deterministic.
#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/problem.h"

namespace mdnlab::ops::cuda {

enum class Element { f32, bf16 };

// y = silu(convolution + bias). Forward writes y, backward dx, dweight_RWC, dbias_RC.
cudaError_t convolve(const ShortConvolution& problem, Element element, cudaStream_t stream);
cudaError_t convolve_backward(const ShortConvolution& problem, Element element, cudaStream_t stream);

// q and k from their projections to the scan (query_key_run.cuh), likewise.
cudaError_t query_key(const QueryKey& problem, Element element, cudaStream_t stream);
cudaError_t query_key_backward(const QueryKey& problem, Element element, cudaStream_t stream);

// The gates of a rule. Forward writes gates, backward dx and dw.
cudaError_t gates(const Gates& problem, Element element, cudaStream_t stream);
cudaError_t gates_backward(const Gates& problem, Element element, cudaStream_t stream);

// log α of channels. Forward writes y, backward dx and dw.
cudaError_t channel_decay(const ChannelDecay& problem, Element element, cudaStream_t stream);
cudaError_t channel_decay_backward(const ChannelDecay& problem, Element element, cudaStream_t stream);

// A norm's runs for a GPU of so many multiprocessors, and the sums in which gradients of its weight come.
struct NormSplit {
  std::int64_t runs, shares;
};
NormSplit split_of(const Norm& problem, Element Y, bool backward, int multiprocessors);

// Forward writes y (and sum), backward dx, dweight_SN (and dadd, dz). X is x's, Y is y's; they are one where
// there is a gate, else Y may be bf16 and X f32.
cudaError_t norm(const Norm& problem, Element X, Element Y, cudaStream_t stream);
cudaError_t norm_backward(const Norm& problem, Element X, Element Y, cudaStream_t stream);

// Forward writes y, backward dgate and dup.
cudaError_t swiglu(const Swiglu& problem, Element element, cudaStream_t stream);
cudaError_t swiglu_backward(const Swiglu& problem, Element element, cudaStream_t stream);

cudaError_t rotary(const Rotary& problem, Element element, cudaStream_t stream);

// Writes loss_N and, where the problem says so, the gradient over the logits.
cudaError_t cross_entropy(const CrossEntropy& problem, Element element, cudaStream_t stream);

cudaError_t scaling(const Scaling& problem, Element element, cudaStream_t stream);

}  // namespace mdnlab::ops::cuda
