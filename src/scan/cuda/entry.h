// What libmdnlab.so asks of libmdnlab_cuda.so: one C function, called once after the module is opened.
#pragma once

#include <torch/version.h>

#define MDNLAB_CUDA_MODULE "libmdnlab_cuda.so"
#define MDNLAB_CUDA_SYMBOL "mdnlab_cuda_register"

// Changes with implementation.h and ops/convolution.h, which both sides compile.
#define MDNLAB_CUDA_STAMP "scan 1, ops 1, LibTorch " TORCH_VERSION

namespace mdnlab::scan {

// Adds the module's implementations (implementation.h). Not 0 where the module has another stamp, and then
// nothing is added.
using CudaEntry = int(const char* stamp);

}  // namespace mdnlab::scan
