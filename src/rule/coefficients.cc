#include "rule/coefficients.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/amax.h>

#include <stdexcept>

#include "ops/layer.h"

namespace mdnlab {

CoefficientRule::~CoefficientRule() = default;

at::Tensor GateInputs::operator[](std::string_view name) const {
  const auto widened = [](const at::Tensor& gate) { return gate.to(ops::statistics_dtype(gate)); };
  for (std::size_t i = 0; i < needs.gates.size(); ++i) {
    if (needs.gates[i] == name)
      return widened(together.narrow(-1, static_cast<std::int64_t>(i) * heads, heads));
  }
  for (std::size_t i = 0; i < needs.channel_gates.size(); ++i) {
    if (needs.channel_gates[i] == name) return widened(of_channels[i]).unflatten(-1, {heads, -1});
  }
  throw std::logic_error("no gate is named " + std::string(name));
}

std::optional<GateFormula> CoefficientRule::formula(const Weights&) const { return std::nullopt; }

Coefficients CoefficientRule::coefficients(const GateInputs& in) const {
  const std::optional<GateFormula> formula = this->formula(in.weights);
  if (!formula) throw std::logic_error("a rule gives neither a formula of its gates nor its coefficients");
  const ops::GateRule& rule = formula->rule;
  const bool has_channels = formula->rate_log.defined();
  at::Tensor of_channels, kept;
  if (has_channels) {
    of_channels = ops::channel_decay(in.of_channels[0], formula->rate_log, formula->bias);
    if (formula->keeps_largest_alpha()) kept = at::amax(of_channels, -1);
  }
  const ops::GateTensors gates = ops::gates(rule, in.together, formula->learned, kept);
  const at::Tensor& log_alpha = gates[ops::kLogAlpha];
  if (has_channels && log_alpha.defined()) of_channels = of_channels + log_alpha.unsqueeze(-1);
  return {.log_alpha = has_channels ? of_channels : log_alpha,
          .log_mu = gates[ops::kLogMu],
          .mu_shares_alpha = has_channels && rule.has_momentum,
          .beta = gates[ops::kBeta],
          .eta = gates[ops::kEta],
          .erase_share = gates[ops::kEraseShare],
          .look_ahead = formula->look_ahead};
}

}  // namespace mdnlab
