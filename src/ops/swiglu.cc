#include <ATen/TensorOperators.h>
#include <ATen/ops/silu.h>

#include "ops/fused.h"
#include "ops/layer.h"
#include "scan/with_backward.h"

namespace mdnlab::ops {

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) {
  const Fused* module = fused(gate.device());
  if (!module || !module->swiglu.takes(gate, up)) return at::silu(gate) * up;
  const at::Tensor y = with_backward(
      {gate, up},
      [&](Tensors& kept) {
        kept = {gate, up};
        return Tensors{module->swiglu.forward(gate, up)};
      },
      [module](const BackwardPass& pass) {
        const auto [dgate, dup] = module->swiglu.backward(pass.kept[0], pass.kept[1], pass.adjoints[0]);
        return Tensors{dgate, dup};
      })[0];
  if (remakes().results) {
    remake({y}, {gate, up},
           [module](const Tensors& from) { return Tensors{module->swiglu.forward(from[0], from[1])}; });
  }
  return y;
}

}  // namespace mdnlab::ops
