#include "ops/cuda/gpu.cuh"
#include "ops/cuda/kernels.h"
#include "ops/cuda/rotary_run.cuh"

namespace mdnlab::ops::cuda {

namespace {

template <class T>
__global__ void __launch_bounds__(kThreads) rotary_kernel(const __grid_constant__ Rotary in) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int of_token = in.K / 2 / kChannels;
  if (index < in.tokens * of_token)
    rotate<T, Gpu>(in, index / of_token, static_cast<int>(index % of_token) * kChannels);
}

}  // namespace

cudaError_t rotary(const Rotary& problem, Element element, cudaStream_t stream) {
  const std::int64_t threads = problem.tokens * (problem.K / 2 / kChannels);
  const auto blocks = static_cast<unsigned>((threads + kThreads - 1) / kThreads);
  if (element == Element::bf16) {
    rotary_kernel<__nv_bfloat16><<<blocks, kThreads, 0, stream>>>(problem);
  } else {
    rotary_kernel<float><<<blocks, kThreads, 0, stream>>>(problem);
  }
  return cudaGetLastError();
}

}  // namespace mdnlab::ops::cuda
