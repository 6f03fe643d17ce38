// The described gates are those that the layers make.
#include "check/stability/gate_set.h"

#include <ATen/TensorOperators.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../../error_of.h"
#include "../../rule/layer.h"
#include "base/random.h"
#include "check/stability/drawn_gates.h"
#include "check/stability/gate_report.h"
#include "rules.h"

namespace mdnlab::stability {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class DescribedRule : public testing::TestWithParam<LayerCase> {};

// Inputs from small to so large that sigmoid and tanh are at their ends.
TEST_P(DescribedRule, HoldsEveryGateOfItsLayer) {
  const Layer layer(GetParam());
  const GateSet set = gates_of(GetParam().rule, GetParam().options);
  for (const double size : {0.1, 1.0, 10.0, 100.0}) {
    const at::Tensor x = random_input(2, 40) * size;
    const std::optional<Coefficients> coefficients = layer.rule().coefficients(x, layer.weights());
    ASSERT_TRUE(coefficients);
    for (const std::vector<Gate>& head : gates_by_head(*coefficients)) {
      ASSERT_GE(head.size(), 80);
      for (const Gate& gate : head) {
        ASSERT_LE(set.excess(gate), 1e-9) << "alpha " << gate.alpha << " mu " << gate.mu << " beta "
                                          << gate.beta << " eta " << gate.eta << " erase " << gate.erase;
        ASSERT_LE(gate.step(), set.most_step(gate.alpha, gate.mu) * (1 + 1e-9) + 1e-12);
      }
    }
  }
}

TEST_P(DescribedRule, HoldsEveryGateThatItMakes) {
  const GateSet set = gates_of(GetParam().rule, GetParam().options);
  Random random{11};
  std::vector<double> units(set.variables.size());
  for (int i = 0; i < 5000; ++i) {
    for (double& x : units)
      x = random.below(4) == 0 ? static_cast<double>(random.below(2)) : random.uniform();
    const Gate gate = set.gate(set.values(units));
    ASSERT_LE(set.excess(gate), 1e-9);
    ASSERT_LE(gate.step(), set.most_step(gate.alpha, gate.mu) * (1 + 1e-9) + 1e-9);
  }
}

std::vector<LayerCase> described_cases() {
  std::vector<LayerCase> cases;
  for (const LayerCase& choice : layer_cases()) {
    const Layer layer(choice);
    if (layer.rule().coefficients(random_input(1, 1), layer.weights())) cases.push_back(choice);
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Layers, DescribedRule, testing::ValuesIn(described_cases()),
                         [](const auto& info) { return info.param.name(); });

TEST(DescribedGates, KnowWhatLiesOutside) {
  EXPECT_GT(gates_of("mdn", {"gate_constraint=paper"}).excess({.alpha = 0.8, .mu = 0.9, .beta = 0.3}), 0.09);
  EXPECT_GT(gates_of("mdn", {"gate_constraint=none"}).excess({.alpha = 0.8, .mu = 0.9, .beta = 1.1}), 0.09);
  EXPECT_GT(gates_of("mdn", {"gate_constraint=none", "min_log_mu=-1"}).excess({.mu = 0.3, .beta = 0.3}),
            0.06);
  EXPECT_GT(gates_of("delta_momentum").excess({.alpha = 0.8, .mu = 0.5, .beta = 0.1}), 0.19)
      << "has no decay";
  EXPECT_GT(gates_of("delta_momentum").excess({.mu = 0.9, .beta = 0.2, .eta = 0.6}), 0.01);
  const GateSet escrow = gates_of("mdn", {"gate_constraint=escrow"});
  EXPECT_GT(escrow.excess({.alpha = 1, .mu = 0.5, .beta = 1, .eta = 0.6}), 0.1) << "u = 1.2";
  EXPECT_GT(escrow.excess({.alpha = 1, .mu = 0.5, .beta = 1.5, .eta = 0.1}), 0.1) << "β and ν apart";
}

TEST(DescribedGates, RefuseAGateThatIsNotFree) {
  GateSet set = gates_of("mdn");
  EXPECT_THAT(error_of([&] { set.fix("et", 1); }).what(), HasSubstr("did you mean 'eta'?"));
  EXPECT_THAT(error_of([&] { set.fix("eta", 2.5); }).what(),
              AllOf(HasSubstr("found 2.5"), HasSubstr("0 to 2")));
  set.fix("eta", 1.5);
  EXPECT_EQ(set.value(set.index("eta"), 0.3), 1.5);
}

// A rule that nobody has described still has the gates that its layer makes.
TEST(DrawnGates, AreThoseOfALayerAndNoOthers) {
  static const Plugins plugins;
  const auto drawn = [&](const char* rule, std::uint64_t seed = 1) {
    const Plugin& plugin = plugins.find(rule);
    return drawn_gates(plugin, read_settings({}, "rule", plugin.options()), seed);
  };
  EXPECT_FALSE(drawn("attention"));
  const std::optional<GateSet> set = drawn("mdn");
  ASSERT_TRUE(set);
  EXPECT_TRUE(set->has_delta && set->has_momentum);
  EXPECT_EQ(set->certificate.norm, Certificate::Norm::none);
  const GateSet described = gates_of("mdn");
  double before = -1, most = 0;
  for (int i = 0; i <= 100; ++i) {
    const double unit = i / 100.0;
    const Gate gate = set->gate(set->values(std::vector{unit}));
    ASSERT_LE(described.excess(gate), 1e-9);
    ASSERT_EQ(set->excess(gate), 0);
    ASSERT_GE(gate.step(), before);
    before = gate.step();
    most = std::max(most, gate.step());
  }
  EXPECT_GT(most, 0.1);
  EXPECT_GT(set->excess({.alpha = 0.5, .mu = 0.123}), 0);
  EXPECT_EQ(drawn("gated_deltanet")->certificate.norm, Certificate::Norm::memory);
}

}  // namespace
}  // namespace mdnlab::stability
