#include <ATen/TensorOperators.h>
#include <ATen/ops/silu.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/fused.h"
#include "ops/layer.h"
#include "scan/remade.h"

namespace mdnlab::ops {

namespace {

class Whole : public torch::autograd::Function<Whole> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& gate,
                            const at::Tensor& up) {
    context->save_for_backward({gate, up});
    return fused(gate.device())->swiglu.forward(gate, up);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& adjoints) {
    const auto saved = context->get_saved_variables();
    const auto [dgate, dup] = fused(saved[0].device())->swiglu.backward(saved[0], saved[1], adjoints[0]);
    return {dgate, dup};
  }
};

}  // namespace

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) {
  const Fused* module = fused(gate.device());
  if (!module || !module->swiglu.takes(gate, up)) return at::silu(gate) * up;
  const at::Tensor y = Whole::apply(gate, up);
  if (remakes().results) {
    remake({y}, {gate, up},
           [module](const Tensors& from) { return Tensors{module->swiglu.forward(from[0], from[1])}; });
  }
  return y;
}

}  // namespace mdnlab::ops
