#include "scan/cuda/channel.h"
#include "scan/cuda/launch.cuh"
#include "scan/cuda/prepare.cuh"

namespace mdnlab::scan::cuda {

cudaError_t launch_prepare(const ChunkScan& scan, cudaStream_t stream) {
  if (scan.has_channel_decay) return launch_channel_prepare(scan, stream);
  using T = __nv_bfloat16;
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
    return launch<PrepareShared<T, K()>>(prepare<T, K(), has_delta()>, grid, kWarpgroup, arguments, stream);
  });
}

}  // namespace mdnlab::scan::cuda
