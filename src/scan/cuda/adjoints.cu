#include <algorithm>

#include "scan/cuda/adjoints.cuh"
#include "scan/cuda/channel.h"
#include "scan/cuda/launch.cuh"

namespace mdnlab::scan::cuda {

namespace {

// Of each part of the keys.
int blocks(const ChunkScan& scan) {
  return std::min(scan.multiprocessors / adjoint_parts(scan.key_width),
                  scan.sizes.chunks * scan.sizes.key_heads);
}

}  // namespace

std::int64_t partial_elements(const ChunkScan& scan) {
  return scan.sizes.heads == scan.sizes.key_heads ? 0
                                                  : std::int64_t{blocks(scan)} * kChunk * 2 * scan.key_width;
}

cudaError_t launch_adjoints(const ChunkScan& scan, cudaStream_t stream) {
  if (scan.has_channel_decay) return launch_channel_adjoints(scan, stream);
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
  const dim3 grid(blocks(scan), adjoint_parts(scan.key_width));
  return with_constants(scan, [&](auto K, auto has_delta, auto has_momentum) {
    using Shared = AdjointShared<T, K(), has_delta(), has_momentum()>;
    return launch<Shared>(adjoints<T, K(), has_delta(), has_momentum()>, grid,
                          (Shared::groups + 1) * kWarpgroup, arguments, stream);
  });
}

}  // namespace mdnlab::scan::cuda
