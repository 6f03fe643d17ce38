#include "ops/fused.h"

#include <dlfcn.h>

#include "ops/rehearsed.h"
#include "scan/cuda_module.h"

namespace mdnlab::ops {

namespace {

const Fused* of_the_module() {
  const scan::CudaModule& module = scan::cuda_module();
  if (!module.trouble.empty()) return nullptr;
  void* const loaded = dlopen(module.file.c_str(), RTLD_NOW | RTLD_NOLOAD);
  return loaded ? static_cast<const Fused*>(dlsym(loaded, MDNLAB_CUDA_OPERATIONS)) : nullptr;
}

}  // namespace

const Fused* fused(at::Device device) {
  if (device.is_meta()) return rehearsed();
  if (!device.is_cuda()) return nullptr;
  static const Fused* const found = of_the_module();
  return found;
}

const FusedDecoding* fused_decoding(at::Device device, at::ScalarType dtype) {
  const Fused* const module = device.is_cuda() ? fused(device) : nullptr;
  return module && module->decoding.takes(device, dtype) ? &module->decoding : nullptr;
}

}  // namespace mdnlab::ops
