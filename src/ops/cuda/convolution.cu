// All that counts is to read and write every tensor once, with many loads in flight: a warp's threads lie
// side by side along the channels, and a run is short enough that all multiprocessors are full.
#include "ops/cuda/gpu.cuh"
#include "ops/cuda/kernels.h"
#include "ops/cuda/query_key_run.cuh"

namespace mdnlab::ops::cuda {

namespace {

template <int W, class T, bool kBackward>
__device__ void run_thread(const ShortConvolution& in, std::int64_t run, std::int64_t channel) {
  if constexpr (kBackward) {
    convolve_run_backward<W, T, Gpu>(in, run, channel);
  } else {
    convolve_run<W, T, Gpu>(in, run, channel);
  }
}

template <int W, class T, bool kBackward>
__device__ void run_thread(const QueryKey& in, std::int64_t run, std::int64_t channel) {
  QueryKeyRun<W, T, Gpu> share(in, run, channel);
  if constexpr (kBackward) {
    share.backward();
  } else {
    share.forward();
  }
}

__host__ __device__ const ShortConvolution& sizes(const ShortConvolution& in) { return in; }
__host__ __device__ const ShortConvolution& sizes(const QueryKey& in) { return in.q; }

// Blocks of a multiprocessor: what the registers are cut to.
__host__ __device__ constexpr int blocks_of(const ShortConvolution*, bool) { return 4; }
__host__ __device__ constexpr int blocks_of(const QueryKey*, bool backward) { return backward ? 2 : 4; }

template <int W, class T, bool kBackward, class Problem>
__global__ void __launch_bounds__(kThreads, blocks_of(static_cast<Problem*>(nullptr), kBackward))
    convolution_kernel(const __grid_constant__ Problem in) {
  const std::int64_t quads = sizes(in).C / kChannels,
                     index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index < sizes(in).runs * quads)
    run_thread<W, T, kBackward>(in, index / quads, index % quads * kChannels);
}

template <bool kBackward, int W, class T, class Problem>
cudaError_t launch(const Problem& in, cudaStream_t stream) {
  const std::int64_t threads = sizes(in).runs * (sizes(in).C / kChannels);
  convolution_kernel<W, T, kBackward>
      <<<static_cast<unsigned>((threads + kThreads - 1) / kThreads), kThreads, 0, stream>>>(in);
  return cudaGetLastError();
}

template <bool kBackward, class T, class Problem>
cudaError_t with_taps(const Problem& in, int taps, cudaStream_t stream) {
  switch (taps) {
    case 1: return launch<kBackward, 1, T>(in, stream);
    case 2: return launch<kBackward, 2, T>(in, stream);
    case 3: return launch<kBackward, 3, T>(in, stream);
    case 4: return launch<kBackward, 4, T>(in, stream);
    default: return cudaErrorInvalidValue;
  }
}

template <bool kBackward, class Problem>
cudaError_t with_element(const Problem& in, int taps, Element element, cudaStream_t stream) {
  return element == Element::bf16 ? with_taps<kBackward, __nv_bfloat16>(in, taps, stream)
                                  : with_taps<kBackward, float>(in, taps, stream);
}

}  // namespace

cudaError_t convolve(const ShortConvolution& problem, int taps, Element element, cudaStream_t stream) {
  return with_element<false>(problem, taps, element, stream);
}

cudaError_t convolve_backward(const ShortConvolution& problem, int taps, Element element,
                              cudaStream_t stream) {
  return with_element<true>(problem, taps, element, stream);
}

cudaError_t query_key(const QueryKey& problem, int taps, Element element, cudaStream_t stream) {
  return with_element<false>(problem, taps, element, stream);
}

cudaError_t query_key_backward(const QueryKey& problem, int taps, Element element, cudaStream_t stream) {
  return with_element<true>(problem, taps, element, stream);
}

}  // namespace mdnlab::ops::cuda
