#include "scan/cuda/adjoints.cuh"

#include <algorithm>

#include "scan/cuda/launch.cuh"

namespace mdnlab::scan::cuda {

namespace {

int blocks(const ChunkScan& scan) { return std::min(scan.multiprocessors, scan.sizes.chunks * scan.sizes.key_heads); }

}  // namespace

std::int64_t partial_elements(const ChunkScan& scan) {
  return scan.sizes.heads == scan.sizes.key_heads ? 0 : std::int64_t{blocks(scan)} * kChunk * 2 * scan.key_width;
}

cudaError_t launch_adjoints(const ChunkScan& scan, cudaStream_t stream) {
  using T = __nv_bfloat16;
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
  const dim3 grid(blocks(scan));
  return with_constants(scan, [&](auto K, auto has_delta, auto has_momentum) {
    return launch<AdjointShared<T, K(), has_delta(), has_momentum()>>(adjoints<T, K(), has_delta(), has_momentum()>, grid,
                                                                      (K() / kPanel + 1) * kWarpgroup, arguments, stream);
  });
}

}  // namespace mdnlab::scan::cuda
