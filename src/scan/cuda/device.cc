#include "scan/cuda/device.h"

#include "base/error.h"
#include "base/gpu.h"

namespace mdnlab::scan {

GpuProperties gpu_properties(c10::Device device) {
  int index = device.index();
  if (index < 0) check_cuda(cudaGetDevice(&index), "the current CUDA device");
  const auto read = [&](cudaDeviceAttr which) {
    int value = 0;
    check_cuda(cudaDeviceGetAttribute(&value, which, index), "an attribute of a CUDA device");
    return value;
  };
  return {
      .capability = 10 * read(cudaDevAttrComputeCapabilityMajor) + read(cudaDevAttrComputeCapabilityMinor),
      .multiprocessors = read(cudaDevAttrMultiProcessorCount),
      .shared_bytes = read(cudaDevAttrMaxSharedMemoryPerBlockOptin)};
}

std::string refusal_of_gpu(const GpuProperties& gpu) {
  constexpr int kCapability = 90;
  if (gpu.capability == kCapability) return {};
  return "the GPU has compute capability " + capability_text(gpu.capability) + ", and it needs " +
         capability_text(kCapability);
}

void check_cuda(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  throw Error(Code::machine, std::string(what) + ": " + cudaGetErrorString(result));
}

}  // namespace mdnlab::scan
