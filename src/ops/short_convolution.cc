#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "ops/convolution.h"
#include "ops/layer.h"

namespace mdnlab::ops {

namespace {

class Convolution : public torch::autograd::Function<Convolution> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x_BTC,
                            const at::Tensor& weight_WC, const Documents& documents) {
    context->save_for_backward({x_BTC, weight_WC, documents.position_BT});
    return (x_BTC.is_cpu() ? convolve_by_loops : convolve_by_tensors)(x_BTC, weight_WC,
                                                                      documents.position_BT);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto convolve_backward =
        saved[0].is_cpu() ? convolve_backward_by_loops : convolve_backward_by_tensors;
    const auto [dx, dweight] = convolve_backward(saved[0], saved[1], saved[2], gradients[0].contiguous());
    return {dx, dweight, at::Tensor()};
  }
};

}  // namespace

at::Tensor short_convolution(const at::Tensor& x_BTC, const at::Tensor& weight, const at::Tensor& bias,
                             const Documents& documents, at::Tensor* carried) {
  const std::int64_t tokens = x_BTC.size(1), past = weight.size(2) - 1;
  const at::ScalarType dtype = x_BTC.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  at::Tensor x = x_BTC;
  const bool resumes = carried && carried->defined();
  if (resumes) x = at::cat({*carried, x}, 1);
  const at::Tensor weight_WC = weight.to(dtype).squeeze(1).flip(1).t().contiguous();
  at::Tensor sum = Convolution::apply(x.to(dtype).contiguous(), weight_WC, documents);
  if (carried) {
    const std::int64_t missing =
        std::max<std::int64_t>(0, past - x.size(1));  // before the first token: zeros
    at::Tensor last = x.narrow(1, x.size(1) - (past - missing), past - missing);
    if (missing > 0) last = at::cat({at::zeros({x.size(0), missing, x.size(2)}, x.options()), last}, 1);
    *carried = last.contiguous();
  }
  if (resumes) sum = sum.narrow(1, past, tokens);
  if (bias.defined()) sum = sum + bias;
  return at::silu(sum).to(x_BTC.scalar_type());
}

}  // namespace mdnlab::ops
