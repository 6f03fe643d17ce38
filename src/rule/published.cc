#include "rule/published.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/tanh.h>

#include <cmath>

#include "ops/layer.h"

namespace mdnlab::published {

namespace {

Initial rate_log(double least) { return {.kind = Initial::Kind::log_uniform, .a = least, .b = 16}; }

constexpr Initial rate_bias{.kind = Initial::Kind::inverse_softplus, .a = 1e-3, .b = 0.1};

}  // namespace

std::vector<ParameterSpec> decay_parameters(std::int64_t heads) {
  return {{"A_log", {heads}, rate_log(0)}, {"dt_bias", {heads}, rate_bias}};
}

std::vector<ParameterSpec> channel_decay_parameters(std::int64_t heads, std::int64_t key_width) {
  return {{"A_log", {heads}, rate_log(1)}, {"dt_bias", {heads * key_width}, rate_bias}};
}

std::vector<ParameterSpec> momentum_parameters(std::int64_t heads) {
  return {{"Mu_log", {heads}, rate_log(0)}, {"mu_bias", {heads}, rate_bias}};
}

at::Tensor log_decay(const GateInputs& in) {
  return ops::decay_log_gate(in["a"], in.weights["A_log"], in.weights["dt_bias"]);
}

at::Tensor log_channel_decay(const GateInputs& in) {
  const at::Tensor& f_BTHK = in["f"];
  return ops::decay_log_gate(f_BTHK, in.weights["A_log"].unsqueeze(-1),
                             in.weights["dt_bias"].view({f_BTHK.size(2), f_BTHK.size(3)}));
}

at::Tensor log_momentum(const GateInputs& in, const Params& options) {
  const at::Tensor log_mu = ops::decay_log_gate(in["m"], in.weights["Mu_log"], in.weights["mu_bias"]);
  return options.is_set("min_log_mu") ? at::clamp_min(log_mu, options.real("min_log_mu")) : log_mu;
}

at::Tensor inner_rate(const GateInputs& in, const Params& options, const LayerShape& shape) {
  const double tau = std::sqrt(static_cast<double>(shape.hidden_size) / options.real("tau_factor"));
  return at::tanh(in["e"] / tau) + 1;
}

}  // namespace mdnlab::published
