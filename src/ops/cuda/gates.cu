// Few bytes and few threads: that it is one launch is what counts.
#include "ops/cuda/gates_run.cuh"
#include "ops/cuda/gpu.cuh"
#include "ops/cuda/kernels.h"

namespace mdnlab::ops::cuda {

namespace {

template <class T, bool kBackward, bool kDiscretised>
__global__ void __launch_bounds__(kThreads) gates_kernel(const __grid_constant__ Gates in) {
  const unsigned heads = static_cast<unsigned>(in.heads), index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= in.runs() * in.heads) return;
  const GatesRun<T, Gpu, kBackward, kDiscretised> share(in, index / heads, static_cast<int>(index % heads));
  if constexpr (kBackward) {
    share.backward();
  } else {
    share.forward();
  }
}

template <class T, bool kBackward>
cudaError_t launch(const Gates& in, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>((in.runs() * in.heads + kThreads - 1) / kThreads);
  const auto kernel =
      in.rule.discretised ? gates_kernel<T, kBackward, true> : gates_kernel<T, kBackward, false>;
  kernel<<<blocks, kThreads, 0, stream>>>(in);
  return cudaGetLastError();
}

template <bool kBackward>
cudaError_t launch(const Gates& in, Element element, cudaStream_t stream) {
  return element == Element::bf16 ? launch<__nv_bfloat16, kBackward>(in, stream)
                                  : launch<float, kBackward>(in, stream);
}

}  // namespace

cudaError_t gates(const Gates& problem, Element element, cudaStream_t stream) {
  return launch<false>(problem, element, stream);
}

cudaError_t gates_backward(const Gates& problem, Element element, cudaStream_t stream) {
  return launch<true>(problem, element, stream);
}

}  // namespace mdnlab::ops::cuda
