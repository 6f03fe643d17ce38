// Momentum DeltaNet: M_t = μ_t M_{t−1} − η_t k_t (v_t − α_t S_{t−1}ᵀk_t)ᵀ, S_t = α_t S_{t−1} − β_t M_t.
// README.md derives it.
#include <ATen/TensorOperators.h>
#include <ATen/ops/log1p.h>
#include <ATen/ops/sigmoid.h>

#include <array>

#include "rule/abi.h"
#include "rule/linear_mixer.h"
#include "rule/published.h"

namespace {

using namespace mdnlab;

constexpr std::array fields{
    Field{.name = "gate_constraint",
          .type = Type::text,
          .preset = "paper",
          .doc = "paper: β ≤ sin²θ and α ≤ cos²θ with θ = atan(η·exp(log_factor)); none: β = sigmoid(b)",
          .choices = "none|paper"},
    published::min_log_mu, published::tau_factor, published::output_correction("true")};

class MomentumDeltaNet final : public CoefficientRule {
 public:
  MomentumDeltaNet(const Params& options, const LayerShape& shape)
      : options_(options), shape_(shape), is_constrained_(options.text("gate_constraint") == "paper") {}

  LayerNeeds needs() const override {
    return {.gates = {"a", "b", "m", "e"},
            .has_delta = true,
            .has_momentum = true,
            .output_correction = options_.boolean("output_correction")};
  }

  std::vector<ParameterSpec> gate_parameters() const override {
    std::vector<ParameterSpec> list = published::decay_parameters(shape_.num_heads);
    for (ParameterSpec& spec : published::momentum_parameters(shape_.num_heads)) list.push_back(spec);
    if (is_constrained_) {
      list.push_back(
          {"log_factor", {shape_.num_heads}, {.kind = Initial::Kind::log_uniform, .a = 0, .b = 4}});
    }
    return list;
  }

  Coefficients coefficients(const GateInputs& in) const override {
    Coefficients gates{.log_alpha = published::log_decay(in),
                       .log_mu = published::log_momentum(in, options_),
                       .beta = at::sigmoid(in["b"]),
                       .eta = published::inner_rate(in, options_, shape_)};
    if (is_constrained_) {  // with x = tan θ: sin²θ = x²/(1 + x²), log cos²θ = −log(1 + x²)
      const at::Tensor x_squared = (gates.eta * in.weights["log_factor"].exp()).square();
      gates.beta = gates.beta * (x_squared / (1 + x_squared));
      gates.log_alpha = gates.log_alpha - at::log1p(x_squared);
    }
    return gates;
  }

 private:
  Params options_;
  LayerShape shape_;
  bool is_constrained_;
};

}  // namespace

MDNLAB_PLUGIN(make_layer<MomentumDeltaNet>, fields, .name = "mdn", .rule_version = 1,
              .summary = "delta rule with decay and stepwise momentum (Momentum DeltaNet)",
              .capabilities = {.delta = true, .momentum = true, .decay = "scalar"});
