#include "rule/family.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/sigmoid.h>

#include <optional>

#include "rule/escrow.h"
#include "rule/linear_mixer.h"
#include "rule/published.h"

namespace mdnlab::family {

namespace {

// effective_step divides by η, which tanh can bring to 0 in float32.
constexpr double least_eta = 1e-3;

class FamilyRule final : public CoefficientRule {
 public:
  FamilyRule(const Preset& preset, const Params& options, const LayerShape& shape)
      : delta_(preset.switches.delta),
        momentum_(preset.switches.momentum),
        decay_(preset.switches.decay),
        options_(options),
        shape_(shape),
        shell_(read_shell(options, shape)),
        most_beta_(mdnlab::most_beta(options, delta_, momentum_)) {
    shell_.low_rank_output_gate = preset.low_rank_output_gate;
    if (!momentum_) return;
    constraint_ = read_gate_constraint(options, delta_, decay_ != Decay::none);
    if (constraint_ == GateConstraint::escrow) escrow_.emplace(options, delta_);
    floors_eta_ = preset.floors_eta || constraint_ == GateConstraint::effective_step;
  }

  LayerNeeds needs() const override {
    LayerNeeds needs{.has_delta = delta_, .has_momentum = momentum_, .shell = shell_};
    if (decay_ == Decay::scalar) needs.gates.emplace_back("a");
    if (decay_ == Decay::channel) needs.channel_gates.emplace_back("f");
    needs.gates.emplace_back("b");
    if (momentum_) needs.gates.emplace_back("m");
    if (escrow_ ? escrow_->shares() : has_eta()) needs.gates.emplace_back("e");
    return needs;
  }

  std::vector<ParameterSpec> gate_parameters() const override {
    const std::int64_t heads = shell_.value_heads;
    std::vector<ParameterSpec> list;
    if (decay_ == Decay::scalar) list = published::decay_parameters(heads);
    if (decay_ == Decay::channel) list = published::channel_decay_parameters(heads, shape_.head_dim);
    if (escrow_) {
      list.push_back({"mu_bias", {heads}, escrow_->mu_bias()});
    } else if (momentum_) {
      for (ParameterSpec& spec : published::momentum_parameters(heads)) list.push_back(std::move(spec));
    }
    if (constraint_ == GateConstraint::paper) {
      list.push_back({"log_factor", {heads}, {.kind = Initial::Kind::log_uniform, .a = 0, .b = 4}});
    }
    return list;
  }

  Coefficients coefficients(const GateInputs& in) const override {
    at::Tensor log_alpha;
    if (decay_ == Decay::scalar) log_alpha = published::log_decay(in);
    if (decay_ == Decay::channel) log_alpha = published::log_channel_decay(in);
    if (!momentum_) return {.log_alpha = log_alpha, .beta = at::sigmoid(in["b"]) * most_beta_};

    Coefficients gates = escrow_ ? escrow_->coefficients(log_alpha, in) : momentum_gates(log_alpha, in);
    gates.look_ahead = options_.real("look_ahead");
    return gates;
  }

 private:
  bool has_eta() const { return delta_ && momentum_; }

  Coefficients momentum_gates(const at::Tensor& log_alpha, const GateInputs& in) const {
    const at::Tensor log_nu = published::log_momentum(in, options_);
    Coefficients gates{.log_alpha = log_alpha,
                       .log_mu = log_nu,
                       .mu_shares_alpha = decay_ == Decay::channel,
                       .beta = at::sigmoid(in["b"])};
    if (has_eta()) {
      gates.eta = published::inner_rate(in, options_, shape_);
      if (floors_eta_) gates.eta = at::clamp_min(gates.eta, least_eta);
    }
    if (constraint_ == GateConstraint::paper) couple_to_decay(gates, in.weights["log_factor"]);
    if (constraint_ == GateConstraint::effective_step) divide_by_reach(gates, log_nu);
    return gates;
  }

  bool delta_, momentum_;
  Decay decay_;
  Params options_;
  LayerShape shape_;
  Shell shell_;
  double most_beta_;
  GateConstraint constraint_ = GateConstraint::none;
  std::optional<Escrow> escrow_;
  bool floors_eta_ = true;
};

}  // namespace

std::unique_ptr<Rule> layer(const Preset& preset, const Params& options, const LayerShape& shape) {
  return linear_mixer(shape, std::make_unique<FamilyRule>(preset, options, shape));
}

}  // namespace mdnlab::family
