// The device that a kernel of this folder runs on, and the check of every CUDA call.
#pragma once

#include <c10/core/Device.h>
#include <cuda_runtime_api.h>

#include <string>

namespace mdnlab::scan {

struct GpuProperties {
  int capability = 0;  // 90: 9.0
  int multiprocessors = 0;
  int shared_bytes = 0;  // that a block may have
};

GpuProperties gpu_properties(c10::Device device);

// Machine code of this module is for compute capability 9.0 alone; empty where the device has it.
std::string refusal_of_gpu(const GpuProperties& gpu);

// Error (Code::machine; `what` and CUDA's words) unless `result` is cudaSuccess.
void check_cuda(cudaError_t result, const char* what);

}  // namespace mdnlab::scan
