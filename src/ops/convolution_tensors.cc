#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <vector>

#include "ops/convolution.h"

namespace mdnlab::ops {

namespace {

// 0 for the tokens whose document began less than `back` tokens ago; chosen, not multiplied, as what lies
// before a document may be NaN.
at::Tensor within_document(const at::Tensor& y_BTC, const at::Tensor& position_BT, std::int64_t back) {
  return position_BT.defined() ? at::where(position_BT.unsqueeze(-1) >= back, y_BTC, 0) : y_BTC;
}

// x_{t−back} at t, from x behind `past` zeros.
at::Tensor earlier(const at::Tensor& padded, std::int64_t past, const at::Tensor& position_BT,
                   std::int64_t back) {
  return within_document(padded.narrow(1, past - back, padded.size(1) - past), position_BT, back);
}

}  // namespace

at::Tensor convolve_by_tensors(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& position) {
  const std::int64_t past = weight.size(0) - 1;
  const at::Tensor padded = at::constant_pad_nd(x, {0, 0, past, 0});
  at::Tensor sum = x * weight[0];
  for (std::int64_t back = 1; back <= past; ++back)
    sum.addcmul_(earlier(padded, past, position, back), weight[back]);
  return sum;
}

ConvolutionGradients convolve_backward_by_tensors(const at::Tensor& x, const at::Tensor& weight,
                                                  const at::Tensor& position, const at::Tensor& dsum) {
  const std::int64_t past = weight.size(0) - 1, tokens = x.size(1);
  const at::Tensor padded = at::constant_pad_nd(x, {0, 0, past, 0});
  const auto of_channels = [](const at::Tensor& y_BTC) { return y_BTC.sum(at::IntArrayRef{0, 1}); };
  at::Tensor dx = dsum * weight[0];
  std::vector<at::Tensor> dweight{of_channels(x * dsum)};
  for (std::int64_t back = 1; back <= past; ++back) {
    const at::Tensor reaching = within_document(dsum, position, back);
    dweight.push_back(of_channels(earlier(padded, past, position, back) * dsum));
    const std::int64_t count = std::max<std::int64_t>(0, tokens - back);
    dx.narrow(1, 0, count).addcmul_(reaching.narrow(1, tokens - count, count), weight[back]);
  }
  return {dx, at::stack(dweight)};
}

}  // namespace mdnlab::ops
