// Decay + momentum, no delta: M_t = μ_t M_{t−1} − k_t v_tᵀ, S_t = α_t S_{t−1} − β_t M_t. README.md derives
// it.
#include <ATen/TensorOperators.h>
#include <ATen/ops/sigmoid.h>

#include <array>

#include "rule/abi.h"
#include "rule/linear_mixer.h"
#include "rule/published.h"

namespace {

using namespace mdnlab;

constexpr std::array fields{
    Field{
        .name = "gate_constraint",
        .type = Type::text,
        .preset = "effective_step",
        .doc =
            "effective_step: β = sigmoid(b)·(1−μ), so that a write adds up to sigmoid(b); none: β = sigmoid(b)",
        .choices = "none|effective_step"},
    published::min_log_mu, published::output_correction("false")};

class DecayMomentum final : public CoefficientRule {
 public:
  DecayMomentum(const Params& options, const LayerShape& shape) : options_(options), shape_(shape) {}

  LayerNeeds needs() const override {
    return {.gates = {"a", "b", "m"},
            .has_momentum = true,
            .output_correction = options_.boolean("output_correction")};
  }

  std::vector<ParameterSpec> gate_parameters() const override {
    std::vector<ParameterSpec> list = published::decay_parameters(shape_.num_heads);
    for (ParameterSpec& spec : published::momentum_parameters(shape_.num_heads)) list.push_back(spec);
    return list;
  }

  Coefficients coefficients(const GateInputs& in) const override {
    Coefficients gates{.log_alpha = published::log_decay(in),
                       .log_mu = published::log_momentum(in, options_),
                       .beta = at::sigmoid(in["b"])};
    if (options_.text("gate_constraint") == "effective_step") gates.beta = gates.beta * -gates.log_mu.expm1();
    return gates;
  }

 private:
  Params options_;
  LayerShape shape_;
};

}  // namespace

MDNLAB_PLUGIN(make_layer<DecayMomentum>, fields, .name = "decay_momentum", .rule_version = 1,
              .summary = "decay with momentum, no delta",
              .capabilities = {.momentum = true, .decay = "scalar"});
