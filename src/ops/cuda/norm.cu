// Every row is read and written once; between its sum and its use it stays in registers.
#include "ops/cuda/gpu.cuh"
#include "ops/cuda/kernels.h"
#include "ops/cuda/norm_run.cuh"

namespace mdnlab::ops::cuda {

namespace {

template <int Q, bool kGated, class X, class Y, bool kBackward>
__global__ void __launch_bounds__(kThreads, kBackward ? (kGated&& Q > 4 ? 2 : 3) : 6)
    norm_kernel(const __grid_constant__ Norm in, const int lanes) {
  const std::int64_t run = (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) / lanes;
  if (run >= in.runs()) return;
  NormRun<Q, kGated, X, Y, Gpu> share(in, run, static_cast<int>(threadIdx.x) % lanes, lanes);
  if constexpr (kBackward) {
    share.backward();
  } else {
    share.forward();
  }
}

template <bool kBackward, bool kGated, class X, class Y>
cudaError_t with_width(const Norm& in, cudaStream_t stream) {
  const int quads = in.N / kChannels, lanes = quads <= 16 ? 16 : quads <= 256 ? 32 : quads <= 512 ? 64 : 128;
  const auto launch = [&](auto kernel) {
    const std::int64_t threads = in.runs() * lanes;
    kernel<<<static_cast<unsigned>((threads + kThreads - 1) / kThreads), kThreads, 0, stream>>>(in, lanes);
    return cudaGetLastError();
  };
  const int of_thread = (quads + lanes - 1) / lanes;
  if (of_thread <= 1) return launch(norm_kernel<1, kGated, X, Y, kBackward>);
  if (of_thread <= 2) return launch(norm_kernel<2, kGated, X, Y, kBackward>);
  if (of_thread <= 4) return launch(norm_kernel<4, kGated, X, Y, kBackward>);
  if (of_thread <= 8) return launch(norm_kernel<8, kGated, X, Y, kBackward>);
  return cudaErrorInvalidValue;
}

template <bool kBackward, class X, class Y>
cudaError_t with_gate(const Norm& in, cudaStream_t stream) {
  return in.z ? with_width<kBackward, true, X, Y>(in, stream)
              : with_width<kBackward, false, X, Y>(in, stream);
}

template <bool kBackward>
cudaError_t with_elements(const Norm& in, Element X, Element Y, cudaStream_t stream) {
  if (X == Element::bf16) {
    return Y == Element::bf16 ? with_gate<kBackward, __nv_bfloat16, __nv_bfloat16>(in, stream)
                              : cudaErrorInvalidValue;
  }
  return Y == Element::bf16 ? with_gate<kBackward, float, __nv_bfloat16>(in, stream)
                            : with_gate<kBackward, float, float>(in, stream);
}

}  // namespace

cudaError_t norm(const Norm& problem, Element X, Element Y, cudaStream_t stream) {
  return with_elements<false>(problem, X, Y, stream);
}

cudaError_t norm_backward(const Norm& problem, Element X, Element Y, cudaStream_t stream) {
  return with_elements<true>(problem, X, Y, stream);
}

}  // namespace mdnlab::ops::cuda
