#include "ops/layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>

namespace mdnlab::ops {

at::Tensor short_convolution(const at::Tensor& x_BTC, const at::Tensor& weight, const at::Tensor& bias,
                             const Documents& documents, at::Tensor* carried) {
  const std::int64_t batch = x_BTC.size(0), tokens = x_BTC.size(1), channels = x_BTC.size(2);
  const std::int64_t taps = weight.size(2), past = taps - 1;
  const at::Tensor before =
      carried && carried->defined() ? *carried : at::zeros({batch, past, channels}, x_BTC.options());
  const at::Tensor padded = at::cat({before, x_BTC}, 1);
  const at::Tensor taps_WC = weight.to(x_BTC.scalar_type()).squeeze(1).t();

  at::Tensor sum = x_BTC * taps_WC[past];  // the token itself
  for (std::int64_t back = 1; back <= past; ++back) {
    at::Tensor tap = padded.narrow(1, past - back, tokens) * taps_WC[past - back];
    if (documents.exist()) tap = tap * (documents.position_BT >= back).unsqueeze(-1).to(tap.scalar_type());
    sum = sum + tap;
  }
  if (bias.defined()) sum = sum + bias.to(sum.scalar_type());
  if (carried) *carried = padded.narrow(1, tokens, past).contiguous();
  return at::silu(sum);
}

}  // namespace mdnlab::ops
