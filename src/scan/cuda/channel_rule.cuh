// From a ChunkScan to what the kernels of channel-wise decay are told.
#pragma once

#include "scan/cuda/channel_operands.cuh"
#include "scan/cuda/channel_share.cuh"
#include "scan/cuda/kernels.h"
#include "scan/cuda/launch.cuh"

namespace mdnlab::scan::cuda {

using ChannelElement = KernelElement;

// Calls run(K, has_momentum) with constants. Delta is no constant: without it the operands are 0.
template <class Run>
cudaError_t with_channel_constants(const ChunkScan& scan, Run&& run) {
  const auto with_width = [&](auto has_momentum) {
    switch (scan.key_width) {
      case 64: return run(std::integral_constant<int, 64>{}, has_momentum);
      case 128: return run(std::integral_constant<int, 128>{}, has_momentum);
      case 256: return run(std::integral_constant<int, 256>{}, has_momentum);
      default: return cudaErrorInvalidValue;
    }
  };
  return scan.has_momentum ? with_width(std::true_type{}) : with_width(std::false_type{});
}

inline ChannelInputs<ChannelElement> channel_inputs(const ChunkScan& scan) {
  const auto rows = [](const TokenRows& of) {
    return Rows<ChannelElement>{static_cast<const ChannelElement*>(of.data), of.token, of.head};
  };
  const float* const beta = scan.has_momentum ? nullptr : scan.beta;  // with it β is in the coefficients
  return {rows(scan.q_rows), rows(scan.k_rows), scan.log_alpha, beta, scan.chunk, scan.sizes};
}

inline HeadGates head_gates(const ChunkScan& scan) {
  return {nullptr, scan.log_mu, scan.beta, scan.eta, scan.look_ahead, scan.sizes};
}

}  // namespace mdnlab::scan::cuda
