#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mm.h>

#include "ops/layer.h"
#include "scan/rehearsal.h"
#include "scan/with_backward.h"

namespace mdnlab::ops {

namespace {

// Half-width products on a GPU whose weight is float32: so is the weight's gradient, from the product's own
// float32 sums, neither rounded to half width nor cast back.
at::Tensor project(const at::Tensor& x, const at::Tensor& weight) {
  const bool casts_again = remakes().results;
  return with_backward(
      {x, weight},
      [&](Tensors& kept) {
        const at::Tensor cast = weight.to(x.scalar_type());
        kept = {x, casts_again ? weight : cast};
        return Tensors{at::matmul(x, cast.t())};
      },
      [](const BackwardPass& pass) {
        const at::Tensor &dy = pass.adjoints[0], &x = pass.kept[0], &weight = pass.kept[1];
        const auto rows = [](const at::Tensor& of) { return of.reshape({-1, of.size(-1)}); };
        at::Tensor dx, dweight;
        if (pass.wanted[0]) dx = at::matmul(dy, weight.to(dy.scalar_type()));
        if (pass.wanted[1]) {
          dweight = x.is_meta()
                        ? at::empty(weight.sizes(), weight.options().dtype(at::kFloat))  // a rehearsal
                        : at::mm(rows(dy).t(), rows(x), at::kFloat);
        }
        return Tensors{dx, dweight};
      })[0];
}

bool is_projection(const at::Tensor& x, const at::Tensor& weight) {
  return is_as_on(at::kCUDA, x) && (x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kHalf) &&
         weight.scalar_type() == at::kFloat && x.numel() > 0 && at::GradMode::is_enabled();
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight) {
  if (is_projection(x, weight)) return project(x, weight);
  return at::matmul(x, weight.to(x.scalar_type()).t());
}

}  // namespace mdnlab::ops
