#include "scan/cuda/forward.cuh"
#include "scan/cuda/kernels.h"
#include "scan/cuda/launch.cuh"
#include "scan/cuda/wide_forward.cuh"

namespace mdnlab::scan::cuda {

namespace {

template <Result result>
cudaError_t launch_forward(const ChunkScan& scan, cudaStream_t stream) {
  using T = KernelElement;
  const ForwardArguments<T> arguments = forward_arguments<T>(scan);
  const dim3 grid(scan.sizes.value_width / kPanel, scan.sizes.heads, scan.sizes.documents);
  return with_constants(scan, [&](auto K, auto has_delta, auto has_momentum) {
    if constexpr (K() == kWideWidth) {
      return launch<WideForwardShared<T, has_delta(), has_momentum(), result>>(
          wide_forward<T, has_delta(), has_momentum(), result>, grid, kWideThreads, arguments, stream);
    } else {
      return launch<ForwardShared<T, K(), has_delta(), has_momentum(), result>>(
          forward<T, K(), has_delta(), has_momentum(), result>, grid, 3 * kWarpgroup, arguments, stream);
    }
  });
}

}  // namespace

template <>
cudaError_t Kernels<KernelElement>::outputs(const ChunkScan& scan, cudaStream_t stream) {
  return launch_forward<Result::outputs>(scan, stream);
}

template <>
cudaError_t Kernels<KernelElement>::states(const ChunkScan& scan, cudaStream_t stream) {
  return launch_forward<Result::states>(scan, stream);
}

}  // namespace mdnlab::scan::cuda
