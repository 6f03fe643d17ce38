#include "ops/cuda/channel_decay_run.cuh"
#include "ops/cuda/gpu.cuh"
#include "ops/cuda/kernels.h"

namespace mdnlab::ops::cuda {

namespace {

template <class T, bool kBackward>
__global__ void __launch_bounds__(kThreads) channel_decay_kernel(const __grid_constant__ ChannelDecay in) {
  const int channel = static_cast<int>(blockIdx.y * kThreads + threadIdx.x) * kChannels;
  if (channel >= in.channels) return;
  const ChannelDecayRun<T, Gpu> share(in, blockIdx.x, channel);
  if constexpr (kBackward) {
    share.backward();
  } else {
    share.forward();
  }
}

template <bool kBackward>
cudaError_t launch(const ChannelDecay& in, Element element, cudaStream_t stream) {
  constexpr int kOfBlock = kThreads * kChannels;
  const dim3 blocks(static_cast<unsigned>(in.runs()),
                    static_cast<unsigned>((in.channels + kOfBlock - 1) / kOfBlock));
  if (element == Element::bf16) {
    channel_decay_kernel<__nv_bfloat16, kBackward><<<blocks, kThreads, 0, stream>>>(in);
  } else {
    channel_decay_kernel<float, kBackward><<<blocks, kThreads, 0, stream>>>(in);
  }
  return cudaGetLastError();
}

}  // namespace

cudaError_t channel_decay(const ChannelDecay& problem, Element element, cudaStream_t stream) {
  return launch<false>(problem, element, stream);
}

cudaError_t channel_decay_backward(const ChannelDecay& problem, Element element, cudaStream_t stream) {
  return launch<true>(problem, element, stream);
}

}  // namespace mdnlab::ops::cuda
