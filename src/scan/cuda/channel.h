// The kernels of channel-wise decay, to which those of chunk.h hand over.
#pragma once

#include "scan/cuda/chunk.h"

namespace mdnlab::scan::cuda {

cudaError_t launch_channel_prepare(const ChunkScan& scan, cudaStream_t stream);
cudaError_t launch_channel_outputs(const ChunkScan& scan, cudaStream_t stream);
cudaError_t launch_channel_states(const ChunkScan& scan, cudaStream_t stream);
cudaError_t launch_channel_reverse(const ChunkScan& scan, cudaStream_t stream);
cudaError_t launch_channel_adjoints(const ChunkScan& scan, cudaStream_t stream);

}  // namespace mdnlab::scan::cuda
