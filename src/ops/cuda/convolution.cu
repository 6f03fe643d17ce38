// All that counts is to read and write every tensor once, with many loads in flight: a warp's threads lie
// side by side along the channels, and a run is short enough that all multiprocessors are full.
#include "ops/cuda/kernels.h"
#include "ops/cuda/query_key_run.cuh"
#include "ops/cuda/streaming_gpu.cuh"

namespace mdnlab::ops::cuda {

namespace {

// kSources: of a channel's gradient; 0: forward.
template <int kSources, bool kDocuments, class T>
__global__ void __launch_bounds__(kThreads, kSources > 0 ? 4 : 6)
    convolution_kernel(const __grid_constant__ ShortConvolution in) {
  const unsigned quads = static_cast<unsigned>(in.C) / kChannels, index = blockIdx.x * kThreads + threadIdx.x,
                 run = index / quads, channel = index % quads * kChannels;
  if (run >= in.runs) return;
  if constexpr (kSources > 0) {
    convolve_run_backward<kDocuments, T, StreamingGpu, kSources>(in, run, channel);
  } else {
    convolve_run<kDocuments, T, StreamingGpu>(in, run, channel);
  }
}

template <bool kBackward, int kWidth, bool kDocuments, class T>
__global__ void __launch_bounds__(kThreads, kBackward ? 2 : 4)
    query_key_kernel(const __grid_constant__ QueryKey in) {
  const unsigned quads = static_cast<unsigned>(in.q.C) / kChannels,
                 index = blockIdx.x * kThreads + threadIdx.x, run = index / quads,
                 channel = index % quads * kChannels;
  if (run >= in.q.runs) return;
  QueryKeyRun<kWidth, kDocuments, T, StreamingGpu> share(in, run, channel);
  if constexpr (kBackward) {
    share.backward();
  } else {
    share.forward();
  }
}

// kStreams tensors are read on the way.
template <class T, int kStreams, class Problem>
cudaError_t launch(void (*kernel)(Problem), const Problem& in, const ShortConvolution& sizes,
                   cudaStream_t stream) {
  constexpr int kBytes = StreamingGpu::Ahead<T, kStreams>::kBytes;
  if (const cudaError_t error =
          cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
      error != cudaSuccess)
    return error;
  const std::int64_t threads = sizes.runs * (sizes.C / kChannels);
  kernel<<<static_cast<unsigned>((threads + kThreads - 1) / kThreads), kThreads, kBytes, stream>>>(in);
  return cudaGetLastError();
}

template <int kSources, class T>
cudaError_t launch_sources(const ShortConvolution& in, cudaStream_t stream) {
  return launch<T, 1 + kSources>(
      in.position_BT ? convolution_kernel<kSources, true, T> : convolution_kernel<kSources, false, T>, in, in,
      stream);
}

// Whether two gradients meet in a channel.
bool overlap(const ChannelAdjoint (&dy)[kAdjoints]) {
  for (const ChannelAdjoint& one : dy) {
    for (const ChannelAdjoint& other : dy) {
      if (&one != &other && one.first < other.end && other.first < one.end) return true;
    }
  }
  return false;
}

template <bool kBackward, class T>
cudaError_t launch(const ShortConvolution& in, cudaStream_t stream) {
  if constexpr (!kBackward) return launch_sources<0, T>(in, stream);
  return overlap(in.dy) ? launch_sources<2, T>(in, stream) : launch_sources<1, T>(in, stream);
}

template <bool kBackward, int kWidth, class T>
cudaError_t launch_width(const QueryKey& in, cudaStream_t stream) {
  return launch < T, kBackward ? 4
                               : 2 > (in.q.position_BT ? query_key_kernel<kBackward, kWidth, true, T>
                                                       : query_key_kernel<kBackward, kWidth, false, T>,
                                      in, in.q, stream);
}

template <bool kBackward, class T>
cudaError_t launch(const QueryKey& in, cudaStream_t stream) {
  switch (in.width) {
    case 64: return launch_width<kBackward, 64, T>(in, stream);
    case 128: return launch_width<kBackward, 128, T>(in, stream);
    case 256: return launch_width<kBackward, 256, T>(in, stream);
    default: return cudaErrorInvalidValue;
  }
}

template <bool kBackward, class Problem>
cudaError_t with_element(const Problem& in, Element element, cudaStream_t stream) {
  return element == Element::bf16 ? launch<kBackward, __nv_bfloat16>(in, stream)
                                  : launch<kBackward, float>(in, stream);
}

}  // namespace

cudaError_t convolve(const ShortConvolution& problem, Element element, cudaStream_t stream) {
  return with_element<false>(problem, element, stream);
}

cudaError_t convolve_backward(const ShortConvolution& problem, Element element, cudaStream_t stream) {
  return with_element<true>(problem, element, stream);
}

cudaError_t query_key(const QueryKey& problem, Element element, cudaStream_t stream) {
  return with_element<false>(problem, element, stream);
}

cudaError_t query_key_backward(const QueryKey& problem, Element element, cudaStream_t stream) {
  return with_element<true>(problem, element, stream);
}

}  // namespace mdnlab::ops::cuda
