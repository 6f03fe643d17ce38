#include "scan/cuda/adjoints.cuh"

#include <algorithm>

#include "scan/cuda/launch.cuh"
#include "scan/cuda/shared_keys.cuh"

namespace mdnlab::scan::cuda {

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
                                      scan.head_d_q,
                                      scan.head_d_k,
                                      scan.terms};
  const dim3 grid(std::min(scan.multiprocessors, scan.sizes.chunks * scan.sizes.heads));
  return with_constants(scan, [&](auto K, auto has_delta, auto has_momentum) {
    return launch<AdjointShared<T, K(), has_delta(), has_momentum()>>(adjoints<T, K(), has_delta(), has_momentum()>, grid,
                                                                      (K() / kPanel + 1) * kWarpgroup, arguments, stream);
  });
}

cudaError_t launch_sum_heads(const ChunkScan& scan, std::int64_t tokens, cudaStream_t stream) {
  using T = __nv_bfloat16;
  constexpr int threads = 256;
  const std::int64_t pairs = tokens * scan.sizes.key_heads * scan.key_width / 2;
  const int blocks = static_cast<int>((pairs + threads - 1) / threads), shared = scan.sizes.heads / scan.sizes.key_heads;
  sum_heads<T><<<blocks, threads, 0, stream>>>(scan.head_d_q, static_cast<T*>(scan.d_q), pairs, shared, scan.key_width);
  sum_heads<T><<<blocks, threads, 0, stream>>>(scan.head_d_k, static_cast<T*>(scan.d_k), pairs, shared, scan.key_width);
  return cudaGetLastError();
}

}  // namespace mdnlab::scan::cuda
