#include "scan/cuda/gate_adjoints.cuh"
#include "scan/cuda/launch.cuh"

namespace mdnlab::scan::cuda {

cudaError_t launch_gate_adjoints(const ChunkScan& scan, cudaStream_t stream) {
  const GateAdjointArguments arguments{scan.log_alpha,   scan.log_mu,     scan.beta,
                                       scan.eta,         scan.look_ahead, scan.chunk,
                                       scan.sizes,       scan.terms,      adjoint_parts(scan.key_width),
                                       scan.d_log_alpha, scan.d_log_mu,   scan.d_beta,
                                       scan.d_eta};
  const dim3 grid(scan.sizes.chunks, scan.sizes.heads);
  if (grid.x == 0) return cudaSuccess;
  const auto kernel = scan.has_delta
                          ? (scan.has_momentum ? gate_adjoints<true, true> : gate_adjoints<true, false>)
                          : (scan.has_momentum ? gate_adjoints<false, true> : gate_adjoints<false, false>);
  kernel<<<grid, kWarpgroup, 0, stream>>>(arguments);
  return cudaGetLastError();
}

}  // namespace mdnlab::scan::cuda
