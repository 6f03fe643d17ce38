#include <algorithm>

#include "scan/cuda/channel_adjoints.cuh"
#include "scan/cuda/channel_momentum_products.cuh"
#include "scan/cuda/channel_rule.cuh"

namespace mdnlab::scan::cuda {

template <>
std::int64_t ChannelKernels<ChannelElement>::product_bytes(int key_width) {
  return adjoint_parts(key_width) * (key_width == 64 ? sizeof(ChannelProducts<ChannelElement, 64>)
                                                     : sizeof(ChannelProducts<ChannelElement, 128>));
}

namespace {

// As many as the multiprocessors hold, or there are chunks and `heads`; of each part of the keys.
template <int K>
dim3 product_blocks(const ChunkScan& scan, int heads) {
  return dim3(std::min(scan.multiprocessors / adjoint_parts(K), scan.sizes.chunks * heads), adjoint_parts(K));
}

// Everything that is summed over the values.
template <int K>
cudaError_t launch_products(const ChunkScan& scan, std::false_type, cudaStream_t stream) {
  using T = ChannelElement;
  const ChannelProductArguments<T, K> arguments{scan.d_o,
                                                scan.d_r,
                                                scan.chunk,
                                                scan.sizes,
                                                scan.has_delta,
                                                static_cast<const T*>(scan.states),
                                                static_cast<const T*>(scan.d_states),
                                                static_cast<const T*>(scan.residuals),
                                                static_cast<ChannelProducts<T, K>*>(scan.channel_products)};
  using Shared = ChannelProductShared<T, K>;
  return launch<Shared>(channel_products<T, K>, product_blocks<K>(scan, scan.sizes.heads),
                        (Shared::groups + 1) * kWarpgroup, arguments, stream);
}

template <int K>
cudaError_t launch_products(const ChunkScan& scan, std::true_type, cudaStream_t stream) {
  using T = ChannelElement;
  const ChannelMomentumProductArguments<T, K> arguments{
      scan.d_o,
      scan.d_r,
      scan.chunk,
      scan.sizes,
      head_gates(scan),
      scan.has_delta,
      static_cast<const T*>(scan.states),
      static_cast<const T*>(scan.d_states),
      static_cast<const T*>(scan.residuals),
      static_cast<const ChannelOperands<T, K>*>(scan.channel_operands),
      static_cast<const ChannelPairs<T>*>(scan.channel_pairs),
      static_cast<ChannelProducts<T, K>*>(scan.channel_products),
      scan.terms};
  using Shared = ChannelMomentumProductShared<T, K>;
  return launch<Shared>(channel_momentum_products<T, K>, product_blocks<K>(scan, scan.sizes.key_heads),
                        (Shared::groups + 1) * kWarpgroup, arguments, stream);
}

}  // namespace

template <>
cudaError_t ChannelKernels<ChannelElement>::adjoints(const ChunkScan& scan, cudaStream_t stream) {
  using T = ChannelElement;
  return with_channel_constants(scan, [&](auto K, auto has_momentum) {
    if (const cudaError_t error = launch_products<K()>(scan, has_momentum, stream)) return error;
    const ChannelAdjointArguments<T, K()> arguments{
        channel_inputs(scan),      static_cast<const ChannelProducts<T, K()>*>(scan.channel_products),
        static_cast<T*>(scan.d_q), static_cast<T*>(scan.d_k),
        scan.d_log_alpha,          has_momentum() ? nullptr : scan.d_beta};
    const dim3 blocks(scan.sizes.chunks, scan.sizes.key_heads);
    constexpr auto kernel = channel_adjoints<T, K()>;
    return scan.sizes.heads == scan.sizes.key_heads
               ? launch<ChannelAdjointShared<T, K()>>(kernel, blocks, 32 * kSliceWarps, arguments, stream)
               : launch<GroupedAdjointShared<T, K()>>(kernel, blocks, 32 * kSliceWarps, arguments, stream);
  });
}

}  // namespace mdnlab::scan::cuda
