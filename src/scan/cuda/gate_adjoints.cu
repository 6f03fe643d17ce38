#include "scan/cuda/gate_adjoints.cuh"
#include "scan/cuda/launch.cuh"

namespace mdnlab::scan::cuda {

cudaError_t launch_gate_adjoints(const ChunkScan& scan, cudaStream_t stream) {
  // Channel-wise decay is in the tiles, and its adjoint there: to these sums the rule has none.
  const bool has_own_decay = !scan.has_channel_decay;
  const GateAdjointArguments arguments{.log_alpha = has_own_decay ? scan.log_alpha : nullptr,
                                       .log_mu = scan.log_mu,
                                       .beta = scan.beta,
                                       .eta = scan.eta,
                                       .look_ahead = scan.look_ahead,
                                       .chunk = scan.chunk,
                                       .sizes = scan.sizes,
                                       .terms = scan.terms,
                                       .parts = adjoint_parts(scan.key_width),
                                       .d_log_alpha = has_own_decay ? scan.d_log_alpha : nullptr,
                                       .d_log_mu = scan.d_log_mu,
                                       .d_beta = scan.d_beta,
                                       .d_eta = scan.d_eta};
  const dim3 grid(scan.sizes.chunks, scan.sizes.heads);
  if (grid.x == 0) return cudaSuccess;
  const auto kernel = scan.has_delta
                          ? (scan.has_momentum ? gate_adjoints<true, true> : gate_adjoints<true, false>)
                          : (scan.has_momentum ? gate_adjoints<false, true> : gate_adjoints<false, false>);
  kernel<<<grid, kWarpgroup, 0, stream>>>(arguments);
  return cudaGetLastError();
}

}  // namespace mdnlab::scan::cuda
