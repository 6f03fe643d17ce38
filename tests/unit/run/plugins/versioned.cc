// A rule that passes its input on, built twice with different versions.
#include <array>

#include "rule/abi.h"

namespace {

using namespace mdnlab;

constexpr std::array<Field, 0> fields{};

class PassOn final : public Rule {
 public:
  std::vector<ParameterSpec> parameters() const override { return {}; }
  std::vector<StateSpec> state(std::int64_t, at::ScalarType) const override { return {}; }
  double mixing_flops(std::int64_t) const override { return 0; }
  at::Tensor forward(const at::Tensor& x_BTD, const Weights&, const ops::Documents&,
                     LayerState*) const override {
    return x_BTD;
  }
};

std::unique_ptr<Rule> create(const Params&, const LayerShape&) { return std::make_unique<PassOn>(); }

}  // namespace

MDNLAB_PLUGIN(create, fields, .name = "versioned", .rule_version = RULE_VERSION, .summary = "passes on",
              .capabilities = {});
