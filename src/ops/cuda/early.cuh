// Kernels that set out before the one in front of them in the stream is done (programmatic dependent launch).
#pragma once

#include <cuda_runtime_api.h>

namespace mdnlab::ops::cuda {

// The kernel behind may set out.
__device__ inline void let_next_start() { asm volatile("griddepcontrol.launch_dependents;"); }

// All kernels in front are done, and what they wrote is seen.
__device__ inline void wait_for_previous() { asm volatile("griddepcontrol.wait;" ::: "memory"); }

// Blocks along x in clusters of this many.
class Clusters {
 public:
  explicit Clusters(int blocks) {
    attributes_[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes_[0].val.programmaticStreamSerializationAllowed = 1;
    attributes_[1].id = cudaLaunchAttributeClusterDimension;
    attributes_[1].val.clusterDim = {static_cast<unsigned>(blocks), 1, 1};
    count_ = blocks > 1 ? 2 : 1;
  }
  cudaLaunchConfig_t config(dim3 grid, int threads, int shared_bytes) {
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = dim3(static_cast<unsigned>(threads));
    config.dynamicSmemBytes = static_cast<std::size_t>(shared_bytes);
    config.attrs = attributes_;
    config.numAttrs = count_;
    return config;
  }

 private:
  cudaLaunchAttribute attributes_[2];
  unsigned count_;
};

template <class Kernel>
cudaError_t allow(Kernel kernel, int shared_bytes, int cluster) {
  const cudaError_t done =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
  if (done != cudaSuccess || cluster <= 8) return done;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
}

template <class Problem>
cudaError_t launch_early(void (*kernel)(Problem), const Problem& problem, dim3 grid, int threads,
                         int shared_bytes, int cluster, cudaStream_t stream) {
  if (const cudaError_t done = allow(kernel, shared_bytes, cluster); done != cudaSuccess) return done;
  Clusters clusters(cluster);
  cudaLaunchConfig_t config = clusters.config(grid, threads, shared_bytes);
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, problem);
}

// How many clusters the GPU has room for, of a kernel without dynamic shared memory.
template <class Problem>
cudaError_t clusters_at_once(int* count, void (*kernel)(Problem), int threads, int cluster) {
  if (const cudaError_t done = allow(kernel, 0, cluster); done != cudaSuccess) return done;
  Clusters clusters(cluster);
  const cudaLaunchConfig_t config = clusters.config(dim3(static_cast<unsigned>(cluster)), threads, 0);
  return cudaOccupancyMaxActiveClusters(count, kernel, &config);
}

}  // namespace mdnlab::ops::cuda
