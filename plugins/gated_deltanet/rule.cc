// Gated DeltaNet: S_t = α_t S_{t−1} + β_t k_t (v_t − α_t S_{t−1}ᵀ k_t)ᵀ. README.md derives it.
#include <ATen/TensorOperators.h>
#include <ATen/ops/sigmoid.h>

#include <array>

#include "rule/abi.h"
#include "rule/linear_mixer.h"
#include "rule/published.h"

namespace {

using namespace mdnlab;

constexpr std::array fields{Field{.name = "allow_neg_eigval",
                                  .type = Type::boolean,
                                  .preset = "false",
                                  .doc = "β in (0,2) instead of (0,1): eigenvalues down to −1"},
                            published::output_correction("false")};

class GatedDeltaNet final : public CoefficientRule {
 public:
  GatedDeltaNet(const Params& options, const LayerShape& shape) : options_(options), shape_(shape) {}

  LayerNeeds needs() const override {
    return {.gates = {"a", "b"},
            .output_gate = OutputGate::silu,
            .has_delta = true,
            .output_correction = options_.boolean("output_correction")};
  }

  std::vector<ParameterSpec> gate_parameters() const override {
    return published::decay_parameters(shape_.num_heads);
  }

  Coefficients coefficients(const GateInputs& in) const override {
    const double most = options_.boolean("allow_neg_eigval") ? 2 : 1;
    return {.log_alpha = published::log_decay(in), .beta = at::sigmoid(in["b"]) * most};
  }

 private:
  Params options_;
  LayerShape shape_;
};

}  // namespace

MDNLAB_PLUGIN(make_layer<GatedDeltaNet>, fields, .name = "gated_deltanet", .rule_version = 1,
              .summary = "delta rule with decay (Gated DeltaNet)",
              .capabilities = {.delta = true, .decay = "scalar"});
