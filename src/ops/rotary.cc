#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>

#include <cmath>

#include "ops/fused.h"
#include "ops/layer.h"
#include "scan/with_backward.h"

namespace mdnlab::ops {

at::Tensor rotary(const at::Tensor& x_BTHK, const at::Tensor& position_BT, double theta) {
  const Fused* module = fused(x_BTHK.device());
  if (module && module->rotary.takes(x_BTHK)) {
    return with_backward(
        {x_BTHK},
        [&](Tensors& kept) {
          kept = {position_BT};
          return Tensors{module->rotary.turn(x_BTHK, position_BT, theta, false)};
        },
        [module, theta](const BackwardPass& pass) {
          return Tensors{module->rotary.turn(pass.adjoints[0], pass.kept[0], theta, true)};
        })[0];
  }
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
