#include <dlfcn.h>

#include "ops/convolution.h"
#include "scan/cuda_module.h"

namespace mdnlab::ops {

namespace {

const FusedConvolution* of_the_module() {
  const scan::CudaModule& module = scan::cuda_module();
  if (!module.trouble.empty()) return nullptr;
  void* const loaded = dlopen(module.file.c_str(), RTLD_NOW | RTLD_NOLOAD);
  return loaded ? static_cast<const FusedConvolution*>(dlsym(loaded, MDNLAB_CUDA_CONVOLUTION)) : nullptr;
}

}  // namespace

const FusedConvolution* fused_convolution(at::Device device) {
  if (!device.is_cuda()) return nullptr;
  static const FusedConvolution* const found = of_the_module();
  return found;
}

}  // namespace mdnlab::ops
