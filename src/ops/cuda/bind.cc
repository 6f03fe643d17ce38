#include "ops/cuda/bind.h"

#include "scan/cuda/device.h"

namespace mdnlab::ops::cuda {

at::Tensor aligned(const at::Tensor& value) {
  constexpr std::uintptr_t kAlignment = 16;
  const at::Tensor whole = value.contiguous();
  return reinterpret_cast<std::uintptr_t>(whole.const_data_ptr()) % kAlignment == 0 ? whole : whole.clone();
}

bool is_for_us(const at::Tensor& x) {
  return (x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kFloat) && x.numel() > 0 &&
         scan::refusal_of_gpu(scan::gpu_properties(x.device())).empty();
}

}  // namespace mdnlab::ops::cuda

extern "C" {
__attribute__((visibility("default"))) extern const mdnlab::ops::Fused mdnlab_cuda_operations;
const mdnlab::ops::Fused mdnlab_cuda_operations{.convolution = mdnlab::ops::cuda::fused_convolution,
                                                .query_key = mdnlab::ops::cuda::fused_query_key,
                                                .gates = mdnlab::ops::cuda::fused_gates,
                                                .norm = mdnlab::ops::cuda::fused_norm,
                                                .swiglu = mdnlab::ops::cuda::fused_swiglu,
                                                .rotary = mdnlab::ops::cuda::fused_rotary};
}
