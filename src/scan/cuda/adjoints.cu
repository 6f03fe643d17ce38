#include "scan/cuda/adjoints.cuh"
#include "scan/cuda/kernels.h"
#include "scan/cuda/launch.cuh"

namespace mdnlab::scan::cuda {

template <>
cudaError_t Kernels<KernelElement>::adjoints(const ChunkScan& scan, cudaStream_t stream) {
  using T = KernelElement;
  const AdjointArguments<T> arguments{scan.q,
                                      scan.k,
                                      scan.d_o,
                                      scan.d_r,
                                      scan.v,
                                      scan.log_alpha,
                                      scan.log_mu,
                                      scan.beta,
                                      scan.eta,
                                      scan.look_ahead,
                                      scan.chunk,
                                      scan.sizes,
                                      static_cast<const T*>(scan.states),
                                      static_cast<const T*>(scan.d_states),
                                      static_cast<const T*>(scan.residuals),
                                      static_cast<T*>(scan.d_q),
                                      static_cast<T*>(scan.d_k),
                                      scan.partial,
                                      scan.terms};
  const dim3 grid(adjoint_blocks(scan), adjoint_parts(scan.key_width));
  return with_constants(scan, [&](auto K, auto has_delta, auto has_momentum) {
    using Shared = AdjointShared<T, K(), has_delta(), has_momentum()>;
    return launch<Shared>(cuda::adjoints<T, K(), has_delta(), has_momentum()>, grid,
                          (Shared::groups + 1) * kWarpgroup, arguments, stream);
  });
}

}  // namespace mdnlab::scan::cuda
