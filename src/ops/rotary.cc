#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "ops/fused.h"
#include "ops/layer.h"

namespace mdnlab::ops {

namespace {

class Whole : public torch::autograd::Function<Whole> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& position, double theta) {
    context->save_for_backward({position});
    context->saved_data["theta"] = theta;
    return fused(x.device())->rotary.turn(x, position, theta, false);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& adjoints) {
    const at::Tensor position = context->get_saved_variables()[0];
    const double theta = context->saved_data["theta"].toDouble();
    return {fused(position.device())->rotary.turn(adjoints[0], position, theta, true), {}, {}};
  }
};

}  // namespace

at::Tensor rotary(const at::Tensor& x_BTHK, const at::Tensor& position_BT, double theta) {
  const Fused* module = fused(x_BTHK.device());
  if (module && module->rotary.takes(x_BTHK)) return Whole::apply(x_BTHK, position_BT, theta);
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
