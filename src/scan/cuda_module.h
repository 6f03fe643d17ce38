// The way to a GPU: LibTorch's CUDA half and our kernels, both loaded when a program first needs them, so
// that one build serves machines with and without a GPU.
#pragma once

#include <c10/core/Device.h>

#include <string>

namespace mdnlab::scan {

inline constexpr int kLeastCapability = 80;

struct CudaModule {
  std::string libraries_trouble;  // why LibTorch's CUDA libraries do not load; empty: they do
  std::string file;               // libmdnlab_cuda.so, beside libmdnlab.so
  std::string trouble;            // why there are none of our kernels; empty: they are loaded
};

// Loads both on the first call, in that order; never unloads. LibTorch looks for its CUDA half once: a
// program calls this before it asks LibTorch for any device but the CPU.
const CudaModule& cuda_module();

// Returns when LibTorch can use a GPU at all; there is one, with a driver. Else Error (Code::machine): its
// CUDA libraries do not load, or are of a newer CUDA than the driver.
void require_cuda();

// Returns when tensors can be on `device` (a cuda device; without an index the first). Else Error
// (Code::machine) with what was found and what is needed: a driver, such a GPU, compute capability 8.0,
// and what require_cuda() needs.
void require_gpu(c10::Device device);

}  // namespace mdnlab::scan
