// The kernels of chunk.h for one element of q, k and v: T is __nv_bfloat16 or __half. Each .cu file with
// kernels is compiled once for each (meson.build), so that both build side by side; chunk.cc chooses.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "scan/cuda/chunk.h"

namespace mdnlab::scan::cuda {

template <class T>
struct Kernels {
  static cudaError_t prepare(const ChunkScan& scan, cudaStream_t stream);
  static cudaError_t outputs(const ChunkScan& scan, cudaStream_t stream);
  static cudaError_t states(const ChunkScan& scan, cudaStream_t stream);
  static cudaError_t reverse(const ChunkScan& scan, cudaStream_t stream);
  static cudaError_t adjoints(const ChunkScan& scan, cudaStream_t stream);
};

// Those of channel-wise decay.
template <class T>
struct ChannelKernels {
  static cudaError_t prepare(const ChunkScan& scan, cudaStream_t stream);
  static cudaError_t outputs(const ChunkScan& scan, cudaStream_t stream);
  static cudaError_t states(const ChunkScan& scan, cudaStream_t stream);
  static cudaError_t reverse(const ChunkScan& scan, cudaStream_t stream);
  static cudaError_t adjoints(const ChunkScan& scan, cudaStream_t stream);
  static std::int64_t operand_bytes(int key_width);
  static std::int64_t product_bytes(int key_width);
  static std::int64_t pair_bytes();
};

#ifdef MDNLAB_ELEMENT
using KernelElement = MDNLAB_ELEMENT;  // of the kernels in the file being compiled
#endif

}  // namespace mdnlab::scan::cuda
