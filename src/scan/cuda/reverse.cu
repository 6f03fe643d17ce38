#include "scan/cuda/kernels.h"
#include "scan/cuda/launch.cuh"
#include "scan/cuda/reverse.cuh"
#include "scan/cuda/wide_reverse.cuh"

namespace mdnlab::scan::cuda {

template <>
cudaError_t Kernels<KernelElement>::reverse(const ChunkScan& scan, cudaStream_t stream) {
  using T = KernelElement;
  const ReverseArguments<T> arguments = reverse_arguments<T>(scan);
  // Two warpgroups a block share q and k. They take turns at the matrix units, so that one a block is better
  // as long as this scan and the one of the states, which runs beside it, find a multiprocessor for each
  // block.
  const int tiles = scan.sizes.value_width / kPanel;
  const std::int64_t units = std::int64_t{tiles} * scan.sizes.heads * scan.sizes.documents;
  const bool is_wide = scan.key_width == kWideWidth;
  const int groups = !is_wide && tiles % 2 == 0 && 2 * units > scan.multiprocessors ? 2 : 1;
  const dim3 grid(tiles / groups, scan.sizes.heads, scan.sizes.documents);
  return with_constants(scan, [&](auto K, auto has_delta, auto has_momentum) {
    if constexpr (K() == kWideWidth) {
      return launch<WideReverseShared<T, has_delta(), has_momentum()>>(
          wide_reverse<T, has_delta(), has_momentum()>, grid, kWideThreads, arguments, stream);
    } else {
      return launch<ReverseShared<T, K(), has_delta(), has_momentum()>>(
          cuda::reverse<T, K(), has_delta(), has_momentum()>, grid, (groups + 1) * kWarpgroup, arguments,
          stream);
    }
  });
}

}  // namespace mdnlab::scan::cuda
