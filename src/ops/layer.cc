#include "ops/layer.h"

#include <ATen/TensorOperators.h>

namespace mdnlab::ops {

at::ScalarType statistics_dtype(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

at::Tensor l2_norm(const at::Tensor& x) {
  const at::Tensor wide = x.to(statistics_dtype(x));
  return (wide * (wide.square().sum(-1, true) + 1e-6).rsqrt()).to(x.scalar_type());
}

}  // namespace mdnlab::ops
