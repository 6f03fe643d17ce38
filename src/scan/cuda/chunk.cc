#include "scan/cuda/chunk.h"

#include <algorithm>

#include "scan/cuda/kernels.h"
#include "scan/cuda/problem.h"

namespace mdnlab::scan::cuda {

namespace {

using Launch = cudaError_t (*)(const ChunkScan&, cudaStream_t);

// The launch that `get` has of the kernels for the scan's element and kind of decay.
template <class Get>
cudaError_t launch_with(const ChunkScan& scan, cudaStream_t stream, Get&& get) {
  const auto of_element = [&]<class T>(T) -> Launch {
    return scan.has_channel_decay ? get(ChannelKernels<T>()) : get(Kernels<T>());
  };
  return (scan.is_half ? of_element(__half()) : of_element(__nv_bfloat16()))(scan, stream);
}

// Of f16's kernels and of bf16's, whichever is more.
template <class Get>
std::int64_t most_bytes(Get&& get) {
  return std::max(get(ChannelKernels<__half>()), get(ChannelKernels<__nv_bfloat16>()));
}

}  // namespace

bool has_coefficients(const ChunkScan& scan) {
  return !scan.has_channel_decay || scan.has_momentum || scan.key_width == kWideWidth;
}

std::int64_t channel_operand_bytes(int key_width) {
  return most_bytes([&](auto kernels) { return kernels.operand_bytes(key_width); });
}

std::int64_t channel_product_bytes(int key_width) {
  return most_bytes([&](auto kernels) { return kernels.product_bytes(key_width); });
}

std::int64_t channel_pair_bytes() {
  return most_bytes([](auto kernels) { return kernels.pair_bytes(); });
}

std::int64_t partial_elements(const ChunkScan& scan) {
  return scan.sizes.heads == scan.sizes.key_heads || keeps_sums(scan.has_delta, scan.has_momentum)
             ? 0
             : std::int64_t{adjoint_blocks(scan)} * kChunk * 2 * scan.key_width;
}

int adjoint_blocks(const ChunkScan& scan) {
  return std::min(scan.multiprocessors / adjoint_parts(scan.key_width),
                  scan.sizes.chunks * scan.sizes.key_heads);
}

cudaError_t launch_prepare(const ChunkScan& scan, cudaStream_t stream) {
  return launch_with(scan, stream, [](auto kernels) -> Launch { return kernels.prepare; });
}

cudaError_t launch_outputs(const ChunkScan& scan, cudaStream_t stream) {
  return launch_with(scan, stream, [](auto kernels) -> Launch { return kernels.outputs; });
}

cudaError_t launch_states(const ChunkScan& scan, cudaStream_t stream) {
  return launch_with(scan, stream, [](auto kernels) -> Launch { return kernels.states; });
}

cudaError_t launch_reverse(const ChunkScan& scan, cudaStream_t stream) {
  return launch_with(scan, stream, [](auto kernels) -> Launch { return kernels.reverse; });
}

cudaError_t launch_adjoints(const ChunkScan& scan, cudaStream_t stream) {
  return launch_with(scan, stream, [](auto kernels) -> Launch { return kernels.adjoints; });
}

}  // namespace mdnlab::scan::cuda
