#include <algorithm>

#include "scan/cuda/channel.h"
#include "scan/cuda/channel_adjoints.cuh"
#include "scan/cuda/channel_rule.cuh"

namespace mdnlab::scan::cuda {

std::int64_t channel_product_bytes(int key_width) {
  return key_width == 64 ? sizeof(ChannelProducts<ChannelElement, 64>)
                         : sizeof(ChannelProducts<ChannelElement, 128>);
}

cudaError_t launch_channel_adjoints(const ChunkScan& scan, cudaStream_t stream) {
  using T = ChannelElement;
  return with_width(scan, [&](auto K) {
    auto* const products = static_cast<ChannelProducts<T, K()>*>(scan.channel_products);
    const ChannelProductArguments<T, K()> summed{scan.d_o,
                                                 scan.d_r,
                                                 scan.chunk,
                                                 scan.sizes,
                                                 static_cast<const T*>(scan.states),
                                                 static_cast<const T*>(scan.d_states),
                                                 static_cast<const T*>(scan.residuals),
                                                 products};
    const dim3 blocks(std::min(scan.multiprocessors, scan.sizes.chunks * scan.sizes.heads));
    const cudaError_t error = launch<ChannelProductShared<T, K()>>(
        channel_products<T, K()>, blocks, (K() / kPanel + 1) * kWarpgroup, summed, stream);
    if (error != cudaSuccess) return error;
    const ChannelAdjointArguments<T, K()> arguments{channel_inputs(scan),      products,
                                                    static_cast<T*>(scan.d_q), static_cast<T*>(scan.d_k),
                                                    scan.d_log_alpha,          scan.d_beta};
    return launch<ChannelAdjointShared<T, K()>>(
        channel_adjoints<T, K()>, dim3(scan.sizes.chunks, scan.sizes.key_heads), 2 * K(), arguments, stream);
  });
}

}  // namespace mdnlab::scan::cuda
