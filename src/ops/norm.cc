#include <ATen/TensorOperators.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros_like.h>

#include "ops/fused.h"
#include "ops/layer.h"
#include "scan/with_backward.h"

namespace mdnlab::ops {

namespace {

const FusedNorm* kernel_for(const FusedNorm::Inputs& in) {
  const Fused* module = fused(in.x.device());
  return module && module->norm.takes(in) ? &module->norm : nullptr;
}

Tensors tensors(const FusedNorm::Inputs& in) { return {in.x, in.add, in.scale, in.gate, in.weight}; }

FusedNorm::Inputs with(FusedNorm::Inputs in, const Tensors& list) {
  in.x = list[0], in.add = list[1], in.scale = list[2], in.gate = list[3], in.weight = list[4];
  return in;
}

// y, and the sum where something is added.
Tensors by_kernel(const FusedNorm& kernel, const FusedNorm::Inputs& in) {
  return with_backward(
      tensors(in),
      [&](Tensors& kept) {
        const auto [y, sum] = kernel.forward(in);
        kept = {sum.defined() ? sum : in.x, in.scale.defined() ? in.add : at::Tensor(), in.scale, in.gate,
                in.weight};
        return sum.defined() ? Tensors{y, sum} : Tensors{y};
      },
      [&kernel, none = with(in, Tensors(5)), adds = in.add.defined()](const BackwardPass& pass) {
        const FusedNorm::Inputs in = with(none, pass.kept);
        const at::Tensor& dy = pass.adjoints[0];
        const FusedNorm::Gradients of =
            kernel.backward(in,
                            {dy.defined() ? dy : at::zeros_like(in.x, in.dtype),
                             adds && !in.scale.defined() ? pass.adjoints[1] : at::Tensor()},
                            adds);
        return Tensors{of.dx, of.dadd, of.dscale, of.dgate, of.dweight};
      },
      NoAdjoint::undefined);
}

// y is made again as the norm of `in`.
void remake_norm(const at::Tensor& y, const FusedNorm* kernel, const FusedNorm::Inputs& in) {
  remake({y}, tensors(in), [kernel, in = with(in, Tensors(5))](const Tensors& from) {
    return Tensors{kernel->forward(with(in, from)).y};
  });
}

at::Tensor activated(const at::Tensor& gate, NormGate kind) {
  return kind == NormGate::sigmoid ? at::sigmoid(gate) : at::silu(gate);
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const FusedNorm::Inputs in{.x = x, .weight = weight, .eps = eps, .dtype = x.scalar_type()};
  if (const FusedNorm* const kernel = kernel_for(in)) {
    const at::Tensor y = by_kernel(*kernel, in)[0];
    if (remakes().results) remake_norm(y, kernel, in);
    return y;
  }
  const at::Tensor wide = x.to(statistics_dtype(x));
  const at::Tensor scale = (wide.square().mean(-1, true) + eps).rsqrt();
  return (wide * scale * weight).to(x.scalar_type());
}

Normed add_rms_norm(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& weight, double eps,
                    at::ScalarType dtype) {
  FusedNorm::Inputs in{.x = x, .add = branch, .weight = weight, .eps = eps, .dtype = dtype};
  if (const FusedNorm* const kernel = kernel_for(in)) {
    const Tensors made = by_kernel(*kernel, in);
    const Normed out{branch.defined() ? made[1] : x, made[0]};
    // Its own backward pass keeps the sum; as float32 that is the number that was normed.
    if (remakes().results && x.scalar_type() == at::kFloat) {
      in.x = out.sum;
      in.add = at::Tensor();
      remake_norm(out.normed, kernel, in);
    }
    return out;
  }
  const at::Tensor sum = branch.defined() ? x + branch : x;
  return {sum, rms_norm(sum, weight, eps).to(dtype)};
}

at::Tensor gated_rms_norm(const at::Tensor& x, const at::Tensor& gate, NormGate kind,
                          const at::Tensor& weight, double eps, const Skip& skip) {
  const FusedNorm::Inputs in{.x = x,
                             .add = skip.x,
                             .scale = skip.D,
                             .gate = gate,
                             .weight = weight,
                             .kind = kind,
                             .eps = eps,
                             .dtype = x.scalar_type()};
  if (const FusedNorm* const kernel = kernel_for(in)) {
    const at::Tensor y = by_kernel(*kernel, in)[0];
    if (remakes().results) remake_norm(y, kernel, in);
    return y;
  }
  if (skip.x.defined()) {
    const at::Tensor by_head = skip.x.unflatten(-1, {skip.D.size(-1), -1});
    const at::Tensor skipped = skip.D.to(x.scalar_type()).unsqueeze(-1) * by_head;
    return gated_rms_norm(x + skipped.flatten(-2), gate, kind, weight, eps);
  }
  if (kind == NormGate::silu_first) return rms_norm(x * activated(gate, kind), weight, eps);
  return rms_norm(x, weight, eps) * activated(gate, kind);
}

}  // namespace mdnlab::ops
