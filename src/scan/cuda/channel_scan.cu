#include "scan/cuda/channel_forward.cuh"
#include "scan/cuda/channel_prepare.cuh"
#include "scan/cuda/channel_reverse.cuh"
#include "scan/cuda/channel_rule.cuh"
#include "scan/cuda/wide_forward.cuh"
#include "scan/cuda/wide_reverse.cuh"

namespace mdnlab::scan::cuda {

template <>
std::int64_t ChannelKernels<ChannelElement>::operand_bytes(int key_width) {
  switch (key_width) {
    case 64: return sizeof(ChannelOperands<ChannelElement, 64>);
    case 128: return sizeof(ChannelOperands<ChannelElement, 128>);
    default: return sizeof(ChannelOperands<ChannelElement, kWideWidth>);
  }
}

template <>
std::int64_t ChannelKernels<ChannelElement>::pair_bytes() {
  return sizeof(ChannelPairs<ChannelElement>);
}

template <>
cudaError_t ChannelKernels<ChannelElement>::prepare(const ChunkScan& scan, cudaStream_t stream) {
  using T = ChannelElement;
  const dim3 grid(scan.sizes.chunks, scan.sizes.heads);
  return with_channel_constants(scan, [&](auto K, auto has_momentum) {
    const ChannelPrepareArguments<T, K()> arguments{
        channel_inputs(scan), static_cast<ChannelOperands<T, K()>*>(scan.channel_operands),
        scan.has_delta,       head_gates(scan),
        scan.coefficients,    static_cast<ChannelPairs<T>*>(scan.channel_pairs)};
    return launch<ChannelPrepareShared<T, K(), has_momentum()>>(channel_prepare<T, K(), has_momentum()>, grid,
                                                                kPrepareThreads<K()>, arguments, stream);
  });
}

namespace {

template <Result result, bool has_momentum>
cudaError_t launch_wide_forward(const ChunkScan& scan, dim3 grid, cudaStream_t stream) {
  using T = ChannelElement;
  const ChannelWideArguments<T, ForwardArguments<T>> arguments{
      forward_arguments<T>(scan), static_cast<const ChannelOperands<T, kWideWidth>*>(scan.channel_operands)};
  return launch<WideForwardShared<T, true, has_momentum, result, true>>(
      wide_forward<T, true, has_momentum, result, true>, grid, kWideThreads, arguments, stream);
}

template <bool has_momentum>
cudaError_t launch_wide_reverse(const ChunkScan& scan, dim3 grid, cudaStream_t stream) {
  using T = ChannelElement;
  const ChannelWideArguments<T, ReverseArguments<T>> arguments{
      reverse_arguments<T>(scan), static_cast<const ChannelOperands<T, kWideWidth>*>(scan.channel_operands)};
  return launch<WideReverseShared<T, true, has_momentum, true>>(wide_reverse<T, true, has_momentum, true>,
                                                                grid, kWideThreads, arguments, stream);
}

template <Result result>
cudaError_t launch_channel_forward(const ChunkScan& scan, cudaStream_t stream) {
  using T = ChannelElement;
  const dim3 grid(scan.sizes.value_width / kPanel, scan.sizes.heads, scan.sizes.documents);
  return with_channel_constants(scan, [&](auto K, auto has_momentum) {
    if constexpr (K() == kWideWidth) {
      return launch_wide_forward<result, has_momentum()>(scan, grid, stream);
    } else {
      const ChannelForwardArguments<T, K()> arguments{
          scan.v,
          scan.chunk,
          scan.document,
          scan.sizes,
          static_cast<const ChannelOperands<T, K()>*>(scan.channel_operands),
          scan.coefficients,
          scan.initial_S,
          scan.initial_M,
          scan.final_S,
          scan.final_M,
          static_cast<T*>(scan.o),
          static_cast<T*>(scan.states),
          static_cast<T*>(scan.residuals)};
      return launch<ChannelForwardShared<T, K(), has_momentum()>>(
          channel_forward<T, K(), result, has_momentum()>, grid, 3 * kWarpgroup, arguments, stream);
    }
  });
}

}  // namespace

template <>
cudaError_t ChannelKernels<ChannelElement>::outputs(const ChunkScan& scan, cudaStream_t stream) {
  return launch_channel_forward<Result::outputs>(scan, stream);
}

template <>
cudaError_t ChannelKernels<ChannelElement>::states(const ChunkScan& scan, cudaStream_t stream) {
  return launch_channel_forward<Result::states>(scan, stream);
}

// One warpgroup a block is as fast as two, and faster where there are few documents and heads.
template <>
cudaError_t ChannelKernels<ChannelElement>::reverse(const ChunkScan& scan, cudaStream_t stream) {
  using T = ChannelElement;
  const dim3 grid(scan.sizes.value_width / kPanel, scan.sizes.heads, scan.sizes.documents);
  return with_channel_constants(scan, [&](auto K, auto has_momentum) {
    if constexpr (K() == kWideWidth) {
      return launch_wide_reverse<has_momentum()>(scan, grid, stream);
    } else {
      const ChannelReverseArguments<T, K()> arguments{
          scan.d_o,
          scan.chunk,
          scan.document,
          scan.sizes,
          static_cast<const ChannelOperands<T, K()>*>(scan.channel_operands),
          scan.coefficients,
          scan.d_final_S,
          scan.d_final_M,
          static_cast<T*>(scan.d_states),
          static_cast<T*>(scan.d_v),
          scan.d_initial_S,
          scan.d_initial_M};
      return launch<ChannelReverseShared<T, K(), has_momentum()>>(channel_reverse<T, K(), has_momentum()>,
                                                                  grid, 2 * kWarpgroup, arguments, stream);
    }
  });
}

}  // namespace mdnlab::scan::cuda
