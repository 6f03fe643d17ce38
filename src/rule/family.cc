#include "rule/family.h"

#include <cmath>
#include <utility>

#include "ops/gates.h"
#include "rule/escrow.h"
#include "rule/linear_mixer.h"
#include "rule/published.h"

namespace mdnlab::family {

namespace {

// effective_step divides by η, which tanh can bring to 0 in float32.
constexpr double least_eta = 1e-3;

constexpr std::pair<ops::GateProjection, const char*> projections[] = {
    {ops::kA, "a"}, {ops::kB, "b"}, {ops::kM, "m"}, {ops::kE, "e"}};
constexpr std::pair<ops::GateParameter, const char*> parameters[] = {{ops::kALog, "A_log"},
                                                                     {ops::kDtBias, "dt_bias"},
                                                                     {ops::kMuLog, "Mu_log"},
                                                                     {ops::kMuBias, "mu_bias"},
                                                                     {ops::kLogFactor, "log_factor"}};

ops::GateRule read_gates(const Preset& preset, const Params& options, const LayerShape& shape) {
  const auto [delta, momentum, decay] = preset.switches;
  ops::GateRule gates{.has_decay = decay == Decay::scalar,
                      .has_momentum = momentum,
                      .has_delta = delta,
                      .most_beta = most_beta(options, delta, momentum)};
  if (!momentum) return gates;
  gates.constraint = read_gate_constraint(options, delta, decay != Decay::none);
  if (gates.is_escrow()) {
    read_escrow(options, gates);
    return gates;
  }
  gates.floors_log_mu = options.is_set("min_log_mu");
  if (gates.floors_log_mu) gates.min_log_mu = options.real("min_log_mu");
  if (!delta) return gates;
  gates.tau = std::sqrt(static_cast<double>(shape.hidden_size) / options.real("tau_factor"));
  if (preset.floors_eta || gates.constraint == GateConstraint::effective_step) gates.least_eta = least_eta;
  return gates;
}

class FamilyRule final : public CoefficientRule {
 public:
  FamilyRule(const Preset& preset, const Params& options, const LayerShape& shape)
      : has_channels_(preset.switches.decay == Decay::channel),
        gates_(read_gates(preset, options, shape)),
        look_ahead_(gates_.has_momentum ? options.real("look_ahead") : 0),
        key_width_(shape.head_dim),
        shell_(read_shell(options, shape)) {
    shell_.low_rank_output_gate = preset.low_rank_output_gate;
  }

  LayerNeeds needs() const override {
    LayerNeeds needs{.has_delta = gates_.has_delta, .has_momentum = gates_.has_momentum, .shell = shell_};
    if (has_channels_) needs.channel_gates.emplace_back("f");
    for (const auto& [which, name] : projections) {
      if (gates_.uses(which)) needs.gates.emplace_back(name);
    }
    return needs;
  }

  std::vector<ParameterSpec> gate_parameters() const override {
    const std::int64_t heads = shell_.value_heads;
    std::vector<ParameterSpec> list;
    if (gates_.has_decay) list = published::decay_parameters(heads);
    if (has_channels_) list = published::channel_decay_parameters(heads, key_width_);
    if (gates_.is_escrow()) {
      list.push_back({"mu_bias", {heads}, escrow_mu_bias(gates_)});
    } else if (gates_.has_momentum) {
      for (ParameterSpec& spec : published::momentum_parameters(heads)) list.push_back(std::move(spec));
    }
    if (gates_.constraint == GateConstraint::paper) {
      list.push_back({"log_factor", {heads}, {.kind = Initial::Kind::log_uniform, .a = 0, .b = 4}});
    }
    return list;
  }

  std::optional<GateFormula> formula(const Weights& weights) const override {
    GateFormula formula{.rule = gates_, .look_ahead = look_ahead_};
    for (const auto& [which, name] : parameters) {
      if (gates_.uses(which)) formula.learned[which] = weights[name];
    }
    if (has_channels_) formula.rate_log = weights["A_log"], formula.bias = weights["dt_bias"];
    return formula;
  }

 private:
  bool has_channels_;
  ops::GateRule gates_;
  double look_ahead_;
  std::int64_t key_width_;
  Shell shell_;
};

}  // namespace

std::unique_ptr<Rule> layer(const Preset& preset, const Params& options, const LayerShape& shape) {
  return linear_mixer(shape, std::make_unique<FamilyRule>(preset, options, shape));
}

}  // namespace mdnlab::family
