// A block has a row. Its second reading finds much of the row in the L2 cache: two blocks a multiprocessor
// are 264 rows, 27 MB of GPT-2's vocabulary in bf16.
#include <algorithm>
#include <bit>

#include "ops/cuda/cross_entropy_run.cuh"
#include "ops/cuda/gpu.cuh"
#include "ops/cuda/kernels.h"

namespace mdnlab::ops::cuda {

namespace {

constexpr int kRowThreads = 512;

struct RowGpu : Gpu {
  using Group = GroupOf<kRowThreads>;
};

template <class T>
__global__ void __launch_bounds__(kRowThreads, 2)
    cross_entropy_kernel(const __grid_constant__ CrossEntropy in) {
  CrossEntropyRow<T, RowGpu>(in, blockIdx.x, static_cast<int>(threadIdx.x), static_cast<int>(blockDim.x))
      .run();
}

template <class T>
__global__ void __launch_bounds__(kThreads) scaling_kernel(const __grid_constant__ Scaling in) {
  const auto factor = static_cast<float>(*in.factor);
  if (factor == 1) return;
  T* const x = static_cast<T*>(in.x);
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kThreads * kChannels;
  for (std::int64_t at = (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kChannels;
       at < in.count; at += step) {
    Quad quad = Gpu::widen(Gpu::fetch_written(x + at));
#pragma unroll
    for (int n = 0; n < kChannels; ++n) quad.value[n] *= factor;
    Gpu::store(x + at, quad);
  }
}

}  // namespace

cudaError_t cross_entropy(const CrossEntropy& problem, Element element, cudaStream_t stream) {
  constexpr int kOfThread = CrossEntropyRow<float, RowGpu>::kAhead * kChannels;
  const auto wanted = static_cast<unsigned>((problem.V + kOfThread - 1) / kOfThread);
  const unsigned threads = std::clamp<unsigned>(std::bit_ceil(wanted), 32, kRowThreads);
  const auto blocks = static_cast<unsigned>(problem.rows);
  if (element == Element::bf16) {
    cross_entropy_kernel<__nv_bfloat16><<<blocks, threads, 0, stream>>>(problem);
  } else {
    cross_entropy_kernel<float><<<blocks, threads, 0, stream>>>(problem);
  }
  return cudaGetLastError();
}

cudaError_t scaling(const Scaling& problem, Element element, cudaStream_t stream) {
  constexpr std::int64_t kMostBlocks = 2048, kOfBlock = kThreads * kChannels;
  const auto blocks = static_cast<unsigned>(std::min(kMostBlocks, (problem.count + kOfBlock - 1) / kOfBlock));
  if (element == Element::bf16) {
    scaling_kernel<__nv_bfloat16><<<blocks, kThreads, 0, stream>>>(problem);
  } else {
    scaling_kernel<float><<<blocks, kThreads, 0, stream>>>(problem);
  }
  return cudaGetLastError();
}

}  // namespace mdnlab::ops::cuda
