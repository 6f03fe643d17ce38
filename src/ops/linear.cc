#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/layer.h"
#include "scan/rehearsal.h"
#include "scan/remade.h"

namespace mdnlab::ops {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Half-width products on a GPU whose weight is float32: so is the weight's gradient, from the product's own
// float32 sums, neither rounded to half width nor cast back.
class Projection : public torch::autograd::Function<Projection> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            bool casts_again) {
    const at::Tensor cast = weight.to(x.scalar_type());
    save_or_remake(context, {x, casts_again ? weight : cast});
    return at::matmul(x, cast.t());
  }

  static variable_list backward(AutogradContext* context, const variable_list& adjoints) {
    const variable_list saved = saved_or_remade(context);
    const at::Tensor &dy = adjoints[0], &x = saved[0], &weight = saved[1];
    const auto rows = [](const at::Tensor& of) { return of.reshape({-1, of.size(-1)}); };
    at::Tensor dx, dweight;
    if (context->needs_input_grad(0)) dx = at::matmul(dy, weight.to(dy.scalar_type()));
    if (context->needs_input_grad(1)) {
      dweight = x.is_meta() ? at::empty(weight.sizes(), weight.options().dtype(at::kFloat))  // a rehearsal
                            : at::mm(rows(dy).t(), rows(x), at::kFloat);
    }
    return {dx, dweight, {}};
  }
};

bool is_projection(const at::Tensor& x, const at::Tensor& weight) {
  return is_as_on(at::kCUDA, x) && (x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kHalf) &&
         weight.scalar_type() == at::kFloat && x.numel() > 0 && at::GradMode::is_enabled();
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight) {
  if (is_projection(x, weight)) return Projection::apply(x, weight, remakes().results);
  return at::matmul(x, weight.to(x.scalar_type()).t());
}

}  // namespace mdnlab::ops
