#include "ops/cuda/bind.h"

#include "scan/cuda/device.h"

namespace mdnlab::ops::cuda {

namespace {

// From row to row; 0 where rows are not evenly apart.
std::int64_t row_stride(const at::Tensor& x) {
  std::int64_t stride = 0, rows = 1;
  for (std::int64_t i = x.dim() - 2; i >= 0; --i) {
    if (x.size(i) == 1) continue;
    if (stride == 0) stride = x.stride(i);
    if (x.stride(i) != stride * rows) return 0;
    rows *= x.size(i);
  }
  return x.stride(-1) != 1 ? 0 : stride;
}

}  // namespace

bool is_aligned(const at::Tensor& x) {
  return reinterpret_cast<std::uintptr_t>(x.const_data_ptr()) % 16 == 0;
}

at::Tensor aligned(const at::Tensor& value) {
  const at::Tensor whole = value.contiguous();
  return is_aligned(whole) ? whole : whole.clone();
}

Rows::Rows(const at::Tensor& x) : tensor(x), stride(row_stride(x)) {
  if (stride > 0 && stride % kChannels == 0 && is_aligned(x)) return;
  tensor = aligned(x);
  stride = x.size(-1);
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
                                                .channel_decay = mdnlab::ops::cuda::fused_channel_decay,
                                                .norm = mdnlab::ops::cuda::fused_norm,
                                                .swiglu = mdnlab::ops::cuda::fused_swiglu,
                                                .rotary = mdnlab::ops::cuda::fused_rotary,
                                                .cross_entropy = mdnlab::ops::cuda::fused_cross_entropy,
                                                .scaling = mdnlab::ops::cuda::fused_scaling,
                                                .decoding = mdnlab::ops::cuda::fused_decoding,
                                                .record = mdnlab::ops::cuda::record};
}
