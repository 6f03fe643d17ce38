#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <limits>

#include "ops/cross_entropy.h"
#include "ops/cuda/bind.h"
#include "scan/cuda/device.h"

namespace mdnlab::ops::cuda {

namespace {

bool takes_logits(const at::Tensor& logits) {
  const std::int64_t V = logits.size(1), stride = logits.stride(0);
  return is_for_us(logits) && logits.stride(1) == 1 && stride % kChannels == 0 && stride >= V &&
         is_aligned(logits) && V < std::numeric_limits<int>::max() / 2 &&
         logits.size(0) < std::numeric_limits<int>::max();
}

at::Tensor losses(const at::Tensor& logits, const at::Tensor& given_labels, bool differentiate) {
  const c10::cuda::CUDAGuard guard(logits.device());
  const at::Tensor labels = given_labels.contiguous(),
                   loss = at::empty({logits.size(0)}, logits.options().dtype(at::kFloat));
  const CrossEntropy problem{.rows = logits.size(0),
                             .stride = logits.stride(0),
                             .V = static_cast<int>(logits.size(1)),
                             .differentiate = differentiate,
                             .no_label = kNoLabel,
                             .label_N = labels.const_data_ptr<std::int64_t>(),
                             .x_NV = logits.mutable_data_ptr(),
                             .loss_N = loss.mutable_data_ptr<float>()};
  scan::check_cuda(cross_entropy(problem, element_of(logits), c10::cuda::getCurrentCUDAStream()),
                   "the cross-entropy");
  return loss;
}

bool takes_factor(const at::Tensor& x, const at::Tensor& factor) {
  return is_for_us(x) && x.is_contiguous() && is_aligned(x) && x.numel() % kChannels == 0 &&
         factor.numel() == 1 && factor.scalar_type() == at::kDouble && factor.device() == x.device();
}

void multiply(const at::Tensor& x, const at::Tensor& factor) {
  const c10::cuda::CUDAGuard guard(x.device());
  const Scaling problem{
      .count = x.numel(), .factor = factor.const_data_ptr<double>(), .x = x.mutable_data_ptr()};
  scan::check_cuda(scaling(problem, element_of(x), c10::cuda::getCurrentCUDAStream()), "the scaling");
}

}  // namespace

const FusedCrossEntropy fused_cross_entropy{.takes = takes_logits, .losses = losses};
const FusedScaling fused_scaling{.takes = takes_factor, .multiply = multiply};

}  // namespace mdnlab::ops::cuda
