// All that counts is to read and write every tensor once, with many loads in flight: a warp's threads lie
// side by side along the channels, and a run is short enough that all multiprocessors are full.
#include <cuda_bf16.h>

#include "ops/cuda/convolution.h"
#include "ops/cuda/convolution_run.cuh"

namespace mdnlab::ops::cuda {

namespace {

constexpr int kThreads = 128;

// Through the read-only path, so that loads of later tokens may pass stores of earlier ones.
struct Memory {
  static __device__ Quad load(const float* p) {
    const float4 value = __ldg(reinterpret_cast<const float4*>(p));
    return {value.x, value.y, value.z, value.w};
  }
  static __device__ Quad load(const __nv_bfloat16* p) {
    const uint2 bits = __ldg(reinterpret_cast<const uint2*>(p));
    const float2 low = __bfloat1622float2(reinterpret_cast<const __nv_bfloat162&>(bits.x)),
                 high = __bfloat1622float2(reinterpret_cast<const __nv_bfloat162&>(bits.y));
    return {low.x, low.y, high.x, high.y};
  }
  static __device__ void store(float* p, const Quad& quad) {
    *reinterpret_cast<float4*>(p) = make_float4(quad.value[0], quad.value[1], quad.value[2], quad.value[3]);
  }
  static __device__ void store(__nv_bfloat16* p, const Quad& quad) {
    const __nv_bfloat162 low = __floats2bfloat162_rn(quad.value[0], quad.value[1]),
                         high = __floats2bfloat162_rn(quad.value[2], quad.value[3]);
    *reinterpret_cast<uint2*>(p) =
        make_uint2(reinterpret_cast<const unsigned&>(low), reinterpret_cast<const unsigned&>(high));
  }
  static __device__ float exp(float z) { return expf(z); }
};

template <int W, class T, bool kBackward>
__global__ void __launch_bounds__(kThreads) convolution_kernel(const __grid_constant__ ShortConvolution in) {
  const std::int64_t quads = in.C / kChannels,
                     index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= in.runs * quads) return;
  const std::int64_t run = index / quads;
  ConvolutionRun<W, T, Memory> share(in, run, index % quads * kChannels);
  if constexpr (kBackward) {
    share.backward(run);
  } else {
    share.forward();
  }
}

template <bool kBackward, int W, class T>
cudaError_t launch(const ShortConvolution& in, cudaStream_t stream) {
  const std::int64_t threads = in.runs * (in.C / kChannels);
  convolution_kernel<W, T, kBackward>
      <<<static_cast<unsigned>((threads + kThreads - 1) / kThreads), kThreads, 0, stream>>>(in);
  return cudaGetLastError();
}

template <bool kBackward, class T>
cudaError_t with_taps(const ShortConvolution& in, int taps, cudaStream_t stream) {
  switch (taps) {
    case 1: return launch<kBackward, 1, T>(in, stream);
    case 2: return launch<kBackward, 2, T>(in, stream);
    case 3: return launch<kBackward, 3, T>(in, stream);
    case 4: return launch<kBackward, 4, T>(in, stream);
    default: return cudaErrorInvalidValue;
  }
}

template <bool kBackward>
cudaError_t with_element(const ShortConvolution& in, int taps, Element element, cudaStream_t stream) {
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

}  // namespace mdnlab::ops::cuda
