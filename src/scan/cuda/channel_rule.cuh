// From a ChunkScan to what the kernels of channel-wise decay are told.
#pragma once

#include "scan/cuda/channel_share.cuh"
#include "scan/cuda/launch.cuh"

namespace mdnlab::scan::cuda {

using ChannelElement = __nv_bfloat16;

// Calls run(K) with a constant.
template <class Run>
cudaError_t with_width(const ChunkScan& scan, Run&& run) {
  return scan.key_width == 64 ? run(std::integral_constant<int, 64>{})
                              : run(std::integral_constant<int, 128>{});
}

inline ChannelInputs<ChannelElement> channel_inputs(const ChunkScan& scan) {
  const auto rows = [](const TokenRows& of) {
    return Rows<ChannelElement>{static_cast<const ChannelElement*>(of.data), of.token, of.head};
  };
  return {rows(scan.q_rows), rows(scan.k_rows), scan.log_alpha, scan.beta, scan.chunk, scan.sizes};
}

}  // namespace mdnlab::scan::cuda
