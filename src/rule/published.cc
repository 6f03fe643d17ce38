#include "rule/published.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/tanh.h>

#include <cmath>

#include "ops/layer.h"

namespace mdnlab::published {

std::vector<ParameterSpec> decay_parameters(std::int64_t heads) {
  return {{"A_log", {heads}, rate_log()}, {"dt_bias", {heads}, rate_bias()}};
}

std::vector<ParameterSpec> momentum_parameters(std::int64_t heads) {
  return {{"Mu_log", {heads}, rate_log()}, {"mu_bias", {heads}, rate_bias()}};
}

at::Tensor log_decay(const GateInputs& in) {
  return ops::decay_log_gate(in["a"], in.weights["A_log"], in.weights["dt_bias"]);
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
