// The sections `rule:` and `model:`: which rule each layer has, what follows from what, what is refused.
#include "model/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../error_of.h"
#include "document.h"

namespace mdnlab {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string model(const std::string& more, const std::string& rule = "rule: mdn\n") {
  return rule + "model: {hidden_size: 64, num_hidden_layers: 8, num_heads: 4" + more + "}\n";
}

Error refusal(const std::string& yaml) {
  return error_of([&] { spec_of(yaml); });
}

TEST(ModelSpec, EveryLayerHasTheRule) {
  const ModelSpec spec = spec_of(model(""));
  EXPECT_THAT(layer_names(spec), testing::AllOf(testing::SizeIs(8), testing::Each("mdn")));
  EXPECT_EQ(spec.rule_text(), "mdn");
  EXPECT_EQ(spec.layer_shape(5).layer, 5);
  EXPECT_EQ(spec.layer_shape(5).num_hidden_layers, 8);
}

TEST(ModelSpec, HeadsShareTheHiddenSizeUnlessTheirWidthIsGiven) {
  EXPECT_EQ(spec_of(model("")).layer_shape(0).head_dim, 16);
  const LayerShape shape = spec_of(model(", head_dim: 10, expand_v: 1.5")).layer_shape(0);
  EXPECT_EQ(shape.head_dim, 10);
  EXPECT_EQ(shape.value_dim(), 15);
  EXPECT_EQ(spec_of("rule: mdn\nmodel: {hidden_size: 64, num_hidden_layers: 1, num_heads: 5, head_dim: 16}")
                .layer_shape(0)
                .num_heads,
            5);
}

TEST(ModelSpec, TheMlpIsTwoThirdsOfTheRatioRoundedUpTo256) {
  EXPECT_EQ(spec_of(model("")).intermediate_size(), 256);
  EXPECT_EQ(spec_of("rule: mdn\nmodel: {hidden_size: 1024, num_hidden_layers: 1, num_heads: 8}")
                .intermediate_size(),
            2816);
  EXPECT_EQ(spec_of("rule: mdn\nmodel: {hidden_size: 2048, num_hidden_layers: 1, num_heads: 8}")
                .intermediate_size(),
            5632);
  EXPECT_EQ(
      spec_of("rule: mdn\nmodel: {hidden_size: 384, num_hidden_layers: 1, num_heads: 8, hidden_ratio: 4}")
          .intermediate_size(),
      1024);
  EXPECT_EQ(spec_of(model(", hidden_ratio: 0")).intermediate_size(), 0);
  EXPECT_EQ(spec_of(model(", intermediate_size: 100")).intermediate_size(), 100);
}

TEST(ModelSpec, ARatioPutsAttentionAfterEveryNLayers) {
  const ModelSpec spec = spec_of(model(", ratio: '3:1'", "rule: {name: mdn, tau_factor: 8}\n"));
  EXPECT_THAT(layer_names(spec),
              ElementsAre("mdn", "mdn", "mdn", "attention", "mdn", "mdn", "mdn", "attention"));
  EXPECT_EQ(spec.layers[4].options.real("tau_factor"), 8);
  EXPECT_EQ(spec.rule_text(), "6×mdn + 2×attention");
  EXPECT_THAT(layer_names(spec_of(model(", ratio: '7:1'"))),
              ElementsAre("mdn", "mdn", "mdn", "mdn", "mdn", "mdn", "mdn", "attention"));
}

TEST(ModelSpec, HybridsOfEveryRuleAttendAtTheLastOfEachGroup) {
  for (const char* rule : {"deltanet", "family", "kda", "kda_momentum", "scalar_ssd"}) {
    for (const auto& [ratio, group] : {std::pair{"3:1", 4}, {"7:1", 8}}) {
      const ModelSpec spec =
          spec_of(std::string("rule: ") + rule +
                  "\nmodel: {hidden_size: 64, num_hidden_layers: 24, num_heads: 4, ratio: '" + ratio + "'}");
      EXPECT_EQ(build_rules(spec, plugins()).size(), 24u);
      for (int layer = 0; layer < 24; ++layer)
        EXPECT_EQ(layer_names(spec)[static_cast<std::size_t>(layer)],
                  layer % group == group - 1 ? "attention" : rule);
    }
  }
}

TEST(ModelSpec, AListNamesTheRuleOfEachLayerWithItsOptions) {
  const ModelSpec spec = spec_of(
      "model: {hidden_size: 64, num_hidden_layers: 3, num_heads: 4,\n"
      "  layers: [gated_deltanet, {name: mdn, min_log_mu: -2}, attention]}");
  EXPECT_THAT(layer_names(spec), ElementsAre("gated_deltanet", "mdn", "attention"));
  EXPECT_EQ(spec.layers[1].options.real("min_log_mu"), -2);
}

TEST(ModelSpec, ContradictionsAreRefusedWhereTheyStand) {
  const auto refuses = [](const std::string& yaml, const std::string& message) {
    const Error error = refusal(yaml);
    EXPECT_EQ(error.code(), Code::usage) << yaml;
    EXPECT_STREQ(error.what(), message.c_str());
  };
  refuses("model: {hidden_size: 64, num_hidden_layers: 1, num_heads: 4}",
          "test.yaml:1:1: the section `rule` is missing; expected rule: {name: …}; `mdnlab rules list` names "
          "them");
  refuses("rule: mdn", "test.yaml:1:1: the section `model` is missing");
  refuses("rule: mdn\nmodel: {hidden_size: 64, num_hidden_layers: 1, num_heads: 5}",
          "test.yaml:2:59: num_heads does not divide hidden_size; found 5, expected a divisor of 64; or give "
          "head_dim");
  refuses(model(", layers: [mdn, mdn]", ""),
          "test.yaml:1:70: model.layers does not match num_hidden_layers; found 2 rules, expected a list of "
          "8 rules");
  refuses("rule: mdn\nmodel: {hidden_size: 64, num_hidden_layers: 1, num_heads: 4, layers: [mdn]}",
          "test.yaml:1:7: `rule` and model.layers both choose the layers' rules; expected one of them");
  refuses("rule: {min_log_mu: -2}\nmodel: {hidden_size: 64, num_hidden_layers: 1, num_heads: 4}",
          "test.yaml:1:7: rule lacks the rule's name; expected name: …");
  for (const char* ratio : {"3", "3:2", "0:1", "three:1", "3:1:1"}) {
    EXPECT_THAT(refusal(model(std::string(", ratio: '") + ratio + "'")).what(),
                HasSubstr("model.ratio is no ratio"))
        << ratio;
  }
  EXPECT_THAT(refusal(model(", ratio: '3:1', layers: [mdn]", "")).what(),
              HasSubstr("model.ratio and model.layers both choose"));
}

TEST(ModelSpec, AMisspeltRuleOrOptionNamesTheNearest) {
  EXPECT_THAT(refusal(model("", "rule: mdm\n")).what(),
              HasSubstr("test.yaml:1:7: unknown rule; found 'mdm'; did you mean 'mdn'?"));
  EXPECT_THAT(refusal(model("", "rule: {name: mdn, tau_facter: 8}\n")).what(),
              HasSubstr("test.yaml:1:19: unknown key 'rule.tau_facter'; did you mean 'tau_factor'?"));
  EXPECT_THAT(refusal(model(", layers: [{name: mdn, taufactor: 8}]", "")).what(),
              HasSubstr("num_hidden_layers"));
  EXPECT_THAT(
      refusal(
          "model: {hidden_size: 64, num_hidden_layers: 1, num_heads: 4, layers: [{name: mdn, taufactor: 8}]}")
          .what(),
      HasSubstr("unknown key 'model.layers[0].taufactor'; did you mean 'tau_factor'?"));
}

TEST(ModelSpec, ARuleThatTheShapeDoesNotFitSaysSo) {
  const auto build = [](const std::string& yaml) {
    const ModelSpec spec = spec_of(yaml);
    return error_of([&] { build_rules(spec, plugins()); });
  };
  EXPECT_THAT(build(model(", head_dim: 3, expand_v: 0.5")).what(),
              HasSubstr("head_dim · expand_v is no whole number of value channels"));
  EXPECT_THAT(build(model(", head_dim: 3", "rule: attention\n")).what(),
              HasSubstr("rotary positions need an even head_dim"));
  const Error mamba = build(model("", "rule: {name: mamba2, head_width: 5}\n"));
  EXPECT_EQ(mamba.code(), Code::usage);
  EXPECT_THAT(mamba.what(), AllOf(HasSubstr("test.yaml:1:34: rule mamba2: "),
                                  HasSubstr("found 5, expected a divisor of 128")));
  EXPECT_THAT(build(model("", "rule: {name: delta_momentum, gate_constraint: paper}\n")).what(),
              AllOf(HasSubstr("test.yaml:1:47"), HasSubstr("with α = cos²θ = 1, β = sin²θ = 0")));
}

}  // namespace
}  // namespace mdnlab
