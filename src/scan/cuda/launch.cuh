// From a ChunkScan to the instantiation of a kernel that serves it.
#pragma once

#include <type_traits>

#include "scan/cuda/chunk.h"

namespace mdnlab::scan::cuda {

// Calls run(K, has_delta, has_momentum) with constants for the values of `scan`.
template <class Run>
cudaError_t with_constants(const ChunkScan& scan, Run&& run) {
  const auto with_momentum = [&](auto width, auto has_delta) {
    return scan.has_momentum ? run(width, has_delta, std::true_type{})
                             : run(width, has_delta, std::false_type{});
  };
  const auto with_delta = [&](auto width) {
    return scan.has_delta ? with_momentum(width, std::true_type{}) : with_momentum(width, std::false_type{});
  };
  switch (scan.key_width) {
    case 64: return with_delta(std::integral_constant<int, 64>{});
    case 128: return with_delta(std::integral_constant<int, 128>{});
    case 256: return with_delta(std::integral_constant<int, 256>{});
    default: return cudaErrorInvalidValue;
  }
}

// `Shared` is what the kernel lays into shared memory; its first 1024 bytes may be lost to alignment.
template <class Shared, class Arguments>
cudaError_t launch(void (*kernel)(Arguments), dim3 grid, int threads, const Arguments& arguments,
                   cudaStream_t stream) {
  constexpr int bytes = sizeof(Shared) + 1024;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return cudaSuccess;
  if (const cudaError_t error =
          cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes))
    return error;
  kernel<<<grid, threads, bytes, stream>>>(arguments);
  return cudaGetLastError();
}

}  // namespace mdnlab::scan::cuda
