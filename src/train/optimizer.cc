#include "train/optimizer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

namespace mdnlab {

AdamW::AdamW(const std::vector<Parameter>& parameters, const Params& train)
    : beta1_(train.reals("betas")[0]),
      beta2_(train.reals("betas")[1]),
      eps_(train.real("eps")),
      max_norm_(train.real("max_norm")) {
  groups_ = {Group{.weight_decay = train.real("weight_decay")}, Group{.weight_decay = 0}};
  const at::NoGradGuard no_grad;
  for (const Parameter& parameter : parameters) {
    Group& group = groups_[parameter.decays ? 0 : 1];
    group.names.push_back(parameter.name);
    group.parameters.push_back(parameter.tensor);
    group.first_moments.push_back(at::zeros_like(parameter.tensor.detach()));
    group.second_moments.push_back(at::zeros_like(parameter.tensor.detach()));
    group.steps.push_back(at::zeros({}, at::TensorOptions(parameter.tensor.device()).dtype(at::kFloat)));
  }
}

// A parameter that the loss does not reach has the gradient 0, so that its moments and decay go on.
std::vector<at::Tensor> AdamW::gradients(const Group& group) const {
  std::vector<at::Tensor> list;
  for (const at::Tensor& parameter : group.parameters) {
    if (!parameter.grad().defined()) parameter.mutable_grad() = at::zeros_like(parameter.detach());
    list.push_back(parameter.grad());
  }
  return list;
}

at::Tensor AdamW::clip() {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> all;
  for (const Group& group : groups_) {
    for (const at::Tensor& gradient : gradients(group)) all.push_back(gradient);
  }
  const at::Tensor norm = at::stack(at::_foreach_norm(all)).to(at::kDouble).square().sum().sqrt();
  if (max_norm_ > 0) {
    const at::Tensor share = at::where(norm.isfinite(), (max_norm_ / norm).clamp_max(1), 1);
    at::_foreach_mul_(all, share.to(all[0].scalar_type()));
  }
  return norm;
}

// LibTorch reads the rate as float32 on a GPU, and as it is on the CPU.
at::Tensor AdamW::rate_tensor() const {
  const at::Device device = groups_[0].parameters.at(0).device();
  return at::zeros({}, at::TensorOptions(device).dtype(device.is_cpu() ? at::kDouble : at::kFloat));
}

void AdamW::step(const at::Tensor& learning_rate, const at::Tensor& skip) {
  const at::NoGradGuard no_grad;
  const at::Tensor skipped = skip.to(at::kFloat), counted = 1 - skipped;
  for (Group& group : groups_) {
    if (group.parameters.empty()) continue;
    at::_foreach_add_(group.steps, counted);
    at::_fused_adamw_(group.parameters, gradients(group), group.first_moments, group.second_moments, {},
                      group.steps, learning_rate, beta1_, beta2_, group.weight_decay, eps_, false, false,
                      /*grad_scale=*/{}, skipped);
  }
}

void AdamW::drop_gradients() {
  for (const Group& group : groups_) {
    for (const at::Tensor& parameter : group.parameters) parameter.mutable_grad() = at::Tensor();
  }
}

TensorMap AdamW::state() const {
  TensorMap map;
  for (const Group& group : groups_) {
    for (std::size_t i = 0; i < group.names.size(); ++i) {
      map["exp_avg." + group.names[i]] = group.first_moments[i];
      map["exp_avg_sq." + group.names[i]] = group.second_moments[i];
      map["step." + group.names[i]] = group.steps[i];
    }
  }
  return map;
}

void AdamW::load(const TensorMap& state) {
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : this->state()) {
    const auto found = state.find(name);
    if (found == state.end() || found->second.sizes() != tensor.sizes()) {
      throw Error(Code::failed, "the checkpoint's optimizer does not fit the model: " + name +
                                    (found == state.end() ? " is missing" : " has another shape"));
    }
    at::Tensor(tensor).copy_(found->second);
  }
}

}  // namespace mdnlab
