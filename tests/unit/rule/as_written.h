// What layers are made of, written down as plainly as can be, for the tests that write a whole layer so: one
// sequence in float64.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/zeros_like.h>

namespace mdnlab::as_written {

inline at::Tensor swish(const at::Tensor& x) { return x * at::sigmoid(x); }

inline at::Tensor root_mean_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  return x / at::sqrt(x.square().mean(-1, true) + eps) * weight;
}

// silu(bias + Σ_i w_i x_{t−W+1+i}), a filter a channel; an undefined bias is none.
inline at::Tensor convolved(const at::Tensor& x_TC, const at::Tensor& weight_C1W, const at::Tensor& bias) {
  const std::int64_t taps = weight_C1W.size(2);
  at::Tensor y = at::zeros_like(x_TC);
  for (std::int64_t t = 0; t < x_TC.size(0); ++t) {
    for (std::int64_t i = 0; i < taps; ++i) {
      if (t - taps + 1 + i >= 0) y[t] += weight_C1W.select(2, i).squeeze(1) * x_TC[t - taps + 1 + i];
    }
    if (bias.defined()) y[t] += bias;
  }
  return swish(y);
}

}  // namespace mdnlab::as_written
