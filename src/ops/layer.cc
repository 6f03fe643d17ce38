#include "ops/layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/matmul.h>

#include <cmath>

namespace mdnlab::ops {

namespace {

at::ScalarType statistics_dtype(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight) {
  return at::matmul(x, weight.to(x.scalar_type()).t());
}

at::Tensor l2_norm(const at::Tensor& x) {
  const at::Tensor wide = x.to(statistics_dtype(x));
  return (wide * (wide.square().sum(-1, true) + 1e-6).rsqrt()).to(x.scalar_type());
}

at::Tensor rotary(const at::Tensor& x_BTHK, const at::Tensor& position_BT, double theta) {
  const std::int64_t half = x_BTHK.size(-1) / 2;
  const auto dtype = statistics_dtype(x_BTHK);
  const at::Tensor frequency =
      (at::arange(half, x_BTHK.options().dtype(at::kDouble)) * (-std::log(theta) / static_cast<double>(half)))
          .exp();
  const at::Tensor angle =
      position_BT.to(at::kDouble).unsqueeze(-1).unsqueeze(-1) * frequency;  // (B,T,1,K/2)
  const at::Tensor cosine = angle.cos().to(dtype), sine = angle.sin().to(dtype);
  const at::Tensor first = x_BTHK.narrow(-1, 0, half), second = x_BTHK.narrow(-1, half, half);
  return at::cat({first * cosine - second * sine, second * cosine + first * sine}, -1)
      .to(x_BTHK.scalar_type());
}

}  // namespace mdnlab::ops
