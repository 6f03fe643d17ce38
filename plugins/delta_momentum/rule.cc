// Delta + momentum, no decay: M_t = μ_t M_{t−1} − η_t k_t (v_t − S_{t−1}ᵀk_t)ᵀ, S_t = S_{t−1} − β_t M_t.
// README.md derives it.
#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp_min.h>
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
        .doc = "effective_step: β = sigmoid(b)·(1−μ)/η, so βη ≤ 1−μ; none: β = sigmoid(b); paper is refused",
        .choices = "none|paper|effective_step"},
    published::min_log_mu, published::tau_factor, published::output_correction("false")};

// β divides by η, which tanh can bring to 0 in float32.
constexpr double least_eta = 1e-3;

class DeltaMomentum final : public CoefficientRule {
 public:
  DeltaMomentum(const Params& options, const LayerShape& shape) : options_(options), shape_(shape) {
    if (options.text("gate_constraint") == "paper") {
      throw options.error("gate_constraint",
                          "gate_constraint paper ties β to the decay: with α = cos²θ = 1, β = sin²θ = 0",
                          "effective_step or none");
    }
  }

  LayerNeeds needs() const override {
    return {.gates = {"b", "m", "e"},
            .has_delta = true,
            .has_momentum = true,
            .output_correction = options_.boolean("output_correction")};
  }

  std::vector<ParameterSpec> gate_parameters() const override {
    return published::momentum_parameters(shape_.num_heads);
  }

  Coefficients coefficients(const GateInputs& in) const override {
    Coefficients gates{.log_mu = published::log_momentum(in, options_),
                       .beta = at::sigmoid(in["b"]),
                       .eta = at::clamp_min(published::inner_rate(in, options_, shape_), least_eta)};
    if (options_.text("gate_constraint") == "effective_step") {
      gates.beta = gates.beta * -gates.log_mu.expm1() / gates.eta;
    }
    return gates;
  }

 private:
  Params options_;
  LayerShape shape_;
};

}  // namespace

MDNLAB_PLUGIN(make_layer<DeltaMomentum>, fields, .name = "delta_momentum", .rule_version = 1,
              .summary = "delta rule with momentum, no decay",
              .capabilities = {.delta = true, .momentum = true});
