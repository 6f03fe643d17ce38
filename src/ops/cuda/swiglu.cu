#include "ops/cuda/gpu.cuh"
#include "ops/cuda/kernels.h"
#include "ops/cuda/swiglu_run.cuh"

namespace mdnlab::ops::cuda {

namespace {

constexpr int kQuads = 4;  // of a thread, so that it has enough loads in flight

template <class T, bool kBackward>
__global__ void __launch_bounds__(kThreads) swiglu_kernel(const __grid_constant__ Swiglu in) {
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kThreads * kQuads + threadIdx.x;
#pragma unroll
  for (int i = 0; i < kQuads; ++i) {
    const std::int64_t at = (first + i * kThreads) * kChannels;
    if (at >= in.count) return;
    if constexpr (kBackward) {
      swiglu_quad_backward<T, Gpu>(in, at);
    } else {
      swiglu_quad<T, Gpu>(in, at);
    }
  }
}

template <bool kBackward>
cudaError_t launch(const Swiglu& in, Element element, cudaStream_t stream) {
  constexpr int kOfBlock = kThreads * kQuads * kChannels;
  const auto blocks = static_cast<unsigned>((in.count + kOfBlock - 1) / kOfBlock);
  if (element == Element::bf16) {
    swiglu_kernel<__nv_bfloat16, kBackward><<<blocks, kThreads, 0, stream>>>(in);
  } else {
    swiglu_kernel<float, kBackward><<<blocks, kThreads, 0, stream>>>(in);
  }
  return cudaGetLastError();
}

}  // namespace

cudaError_t swiglu(const Swiglu& problem, Element element, cudaStream_t stream) {
  return launch<false>(problem, element, stream);
}

cudaError_t swiglu_backward(const Swiglu& problem, Element element, cudaStream_t stream) {
  return launch<true>(problem, element, stream);
}

}  // namespace mdnlab::ops::cuda
