// A coefficient rule with nothing wrong: delta, momentum and decay, every gate learned. The faulty ones
// change one gate of it.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softplus.h>

#include <array>

#include "rule/abi.h"
#include "rule/linear_mixer.h"

namespace mdnlab {

inline constexpr std::array<Field, 0> no_options{};

class SoundGates : public CoefficientRule {
 public:
  SoundGates(const Params&, const LayerShape& shape) : heads_(shape.num_heads) {}

  LayerNeeds needs() const override {
    return {.gates = {"a", "b", "m", "e"}, .has_delta = true, .has_momentum = true};
  }

  std::vector<ParameterSpec> gate_parameters() const override {
    return {{"a_bias", {heads_}, {.kind = Initial::Kind::constant, .a = 1}}};
  }

  Coefficients coefficients(const GateInputs& in) const override {
    const at::Tensor log_mu = -at::softplus(in["m"]);
    return {.log_alpha = -at::softplus(in["a"] - in.weights["a_bias"]),
            .log_mu = log_mu,
            .beta = at::sigmoid(in["b"]) * -log_mu.expm1(),
            .eta = at::sigmoid(in["e"]) + 0.5};
  }

 private:
  std::int64_t heads_;
};

inline constexpr Capabilities sound_gates_capabilities{.delta = true, .momentum = true, .decay = "scalar"};

}  // namespace mdnlab
