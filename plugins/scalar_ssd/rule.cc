// Mamba2's recurrence, shared layer: S_t = exp(−exp(A_log)·Δt_t) S_{t−1} + Δt_t k_t v_tᵀ. README.md
// derives it.
#include "rule/abi.h"
#include "rule/linear_mixer.h"
#include "rule/published.h"

namespace {

using namespace mdnlab;

constexpr auto options = shell_fields();

class ScalarSsd final : public CoefficientRule {
 public:
  ScalarSsd(const Params& params, const LayerShape& shape) : shell_(read_shell(params, shape)) {
    most_beta(params, false, false);  // refuses allow_neg_eigval: nothing is erased
  }

  LayerNeeds needs() const override { return {.gates = {"b"}, .shell = shell_}; }

  std::vector<ParameterSpec> gate_parameters() const override {
    std::vector<ParameterSpec> list = published::decay_parameters(shell_.value_heads);
    list[0].initial = {.kind = Initial::Kind::log_count};  // rates 1…H, as mamba2's
    return list;
  }

  std::optional<GateFormula> formula(const Weights& weights) const override {
    return GateFormula{.rule = {.discretised = true}, .learned = {weights["A_log"], weights["dt_bias"]}};
  }

 private:
  Shell shell_;
};

}  // namespace

MDNLAB_PLUGIN(make_layer<ScalarSsd>, options, .name = "scalar_ssd", .rule_version = 1,
              .summary = "Mamba2's recurrence, shared layer", .capabilities = {.decay = "scalar"});
