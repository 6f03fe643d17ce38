#include "scan/cuda/kernels.h"
#include "scan/cuda/launch.cuh"
#include "scan/cuda/prepare.cuh"

namespace mdnlab::scan::cuda {

template <>
cudaError_t Kernels<KernelElement>::prepare(const ChunkScan& scan, cudaStream_t stream) {
  using T = KernelElement;
  const PrepareArguments<T> arguments{scan.q,
                                      scan.k,
                                      scan.log_alpha,
                                      scan.log_mu,
                                      scan.beta,
                                      scan.eta,
                                      scan.look_ahead,
                                      scan.chunk,
                                      scan.sizes,
                                      scan.coefficients,
                                      static_cast<T*>(scan.inverse),
                                      static_cast<T*>(scan.scores)};
  const dim3 grid(scan.sizes.chunks, scan.sizes.heads);
  return with_constants(scan, [&](auto K, auto has_delta, auto) {
    return launch<PrepareShared<T, K()>>(cuda::prepare<T, K(), has_delta()>, grid, kWarpgroup, arguments,
                                         stream);
  });
}

}  // namespace mdnlab::scan::cuda
