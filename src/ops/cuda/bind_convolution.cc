#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <limits>

#include "ops/convolution.h"
#include "ops/cuda/convolution.h"
#include "scan/cuda/device.h"

namespace mdnlab::ops {

namespace {

constexpr std::uintptr_t kAlignment = 16;

at::Tensor aligned(const at::Tensor& value) {
  const at::Tensor whole = value.contiguous();
  return reinterpret_cast<std::uintptr_t>(whole.const_data_ptr()) % kAlignment == 0 ? whole : whole.clone();
}

cuda::Element element_of(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 ? cuda::Element::bf16 : cuda::Element::f32;
}

// A problem, and what keeps its memory.
class Problem {
 public:
  Problem(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& position)
      : x_(aligned(x)), weight_(aligned(weight)) {
    problem.T = x.size(1);
    problem.C = x.size(2);
    problem.runs = x.size(0) * problem.runs_of_row();
    problem.x_BTC = x_.const_data_ptr();
    problem.weight_WC = weight_.const_data_ptr<float>();
    if (bias.defined()) problem.bias_C = (bias_ = aligned(bias)).const_data_ptr<float>();
    if (position.defined())
      problem.position_BT = (position_ = aligned(position)).const_data_ptr<std::int64_t>();
  }

  cuda::ShortConvolution problem{};

 private:
  at::Tensor x_, weight_, bias_, position_;
};

bool takes(const at::Tensor& x, const at::Tensor& weight) {
  const bool has_dtype = x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kFloat;
  return has_dtype && weight.size(0) <= cuda::kMostTaps && x.size(2) % cuda::kChannels == 0 &&
         x.numel() > 0 && x.numel() < std::numeric_limits<int>::max() * std::int64_t{cuda::kTokens} &&
         scan::refusal_of_gpu(scan::gpu_properties(x.device())).empty();
}

at::Tensor forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                   const at::Tensor& position) {
  const c10::cuda::CUDAGuard guard(x.device());
  Problem call(x, weight, bias, position);
  const at::Tensor y = at::empty(x.sizes(), x.options());
  call.problem.y_BTC = y.mutable_data_ptr();
  scan::check_cuda(cuda::convolve(call.problem, static_cast<int>(weight.size(0)), element_of(x),
                                  c10::cuda::getCurrentCUDAStream()),
                   "the short convolution");
  return y;
}

FusedGradients backward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                        const at::Tensor& position, const at::Tensor& given_dy) {
  const c10::cuda::CUDAGuard guard(x.device());
  Problem call(x, weight, bias, position);
  const at::Tensor dy = aligned(given_dy), dx = at::empty(x.sizes(), x.options());
  const std::int64_t taps = weight.size(0);
  const at::Tensor shares = at::empty({call.problem.runs, taps + 1, x.size(2)}, weight.options());
  call.problem.dy_BTC = dy.const_data_ptr();
  call.problem.dx_BTC = dx.mutable_data_ptr();
  call.problem.dweight_RWC = shares.mutable_data_ptr<float>();
  scan::check_cuda(cuda::convolve_backward(call.problem, static_cast<int>(taps), element_of(x),
                                           c10::cuda::getCurrentCUDAStream()),
                   "the short convolution's gradients");
  const at::Tensor sums = shares.sum(0);
  return {dx, sums.narrow(0, 0, taps), bias.defined() ? sums[taps] : at::Tensor()};
}

}  // namespace

}  // namespace mdnlab::ops

extern "C" {
__attribute__((visibility("default"))) extern const mdnlab::ops::FusedConvolution mdnlab_cuda_convolution;
const mdnlab::ops::FusedConvolution mdnlab_cuda_convolution{
    .takes = mdnlab::ops::takes, .forward = mdnlab::ops::forward, .backward = mdnlab::ops::backward};
}
