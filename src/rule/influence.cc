#include "rule/influence.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include "ops/layer.h"

namespace mdnlab {

at::Tensor one_hot_values(const at::Tensor& v, std::int64_t first, std::int64_t count) {
  at::Tensor one_hot =
      at::zeros({v.size(0), v.size(1), v.size(2), count}, v.options().dtype(ops::statistics_dtype(v)));
  one_hot.narrow(1, first, count).diagonal(0, 1, 3).fill_(1);
  return one_hot;
}

at::Tensor scan_influence(scan::Inputs inputs, std::int64_t first, std::int64_t count) {
  const at::NoGradGuard no_grad;
  inputs.v_BTHV = one_hot_values(inputs.v_BTHV, first, count);
  for (at::Tensor* operand : {&inputs.q_BTGK, &inputs.k_BTGK, &inputs.p_BTHK}) {
    if (operand->defined()) *operand = operand->to(inputs.v_BTHV.scalar_type());
  }
  return scan::chunk(inputs).o_BTHV;
}

}  // namespace mdnlab
