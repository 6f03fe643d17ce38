#include "check/suite.h"

#include <gmock/gmock.h>

#include <set>

#include "check/layer_checks.h"

namespace mdnlab::check {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

const Plugin& plugin(const char* name) {
  static const Plugins all;
  return all.find(name);
}

std::vector<std::string> variants(const char* rule, const std::vector<std::string>& settings = {}) {
  std::vector<std::string> names;
  for (const LayerChoice& choice : layer_choices(plugin(rule), settings)) names.push_back(choice.variant);
  return names;
}

TEST(Suite, TakesEveryChoiceOfARule) {
  EXPECT_THAT(variants("attention"),  // no convolution
              UnorderedElementsAre("", "num_kv_heads=1", "qkv_bias=true", "qk_norm=true"));
  EXPECT_THAT(variants("sliding_attention"), Contains("window=8"));
  EXPECT_THAT(variants("gated_deltanet"),
              testing::IsSupersetOf({"", "allow_neg_eigval=true", "conv_size=0", "conv_size=1"}));
  EXPECT_THAT(variants("gated_deltanet"), Contains("output_correction=true"));
  EXPECT_THAT(variants("gated_deltanet"), Contains("num_v_heads=4"));
  EXPECT_THAT(variants("mamba2"), Contains("n_groups=2"));
}

TEST(Suite, KeepsWhatIsSet) {
  const auto names = variants("gated_deltanet", {"allow_neg_eigval=true"});
  EXPECT_EQ(names.front(), "");
  EXPECT_THAT(names, testing::Not(Contains(testing::HasSubstr("allow_neg_eigval"))));
}

TEST(Suite, LeavesOutWhatTheRuleRefuses) {
  EXPECT_THAT(variants("delta_momentum"), testing::Not(Contains("gate_constraint=paper")));
}

TEST(Suite, TakesAnOptionOfAnotherChoiceWithThatChoice) {
  EXPECT_THAT(variants("mdn"), testing::IsSupersetOf({"gate_constraint=escrow,erase_share=true",
                                                      "min_log_mu=-1", "look_ahead=0.5"}));
  EXPECT_THAT(variants("kda_momentum"), Contains("gate_constraint=none,min_log_mu=-1"));
  EXPECT_THAT(variants("family"), Contains("delta=true,momentum=false,decay=none,allow_neg_eigval=true"));
  EXPECT_THAT(variants("decay_momentum"), testing::Not(Contains(testing::HasSubstr("allow_neg_eigval"))))
      << "nothing is erased, whatever else is chosen";
}

TEST(Suite, FindsTheShapeThatARuleAccepts) {
  // Heads as wide as the options' 64 do not fit the smallest layer.
  EXPECT_GE(layer_choices(plugin("mamba2"), {}).front().shape.hidden_size, 32);
}

// As our kernels on a GPU take them; what is asked of a layer holds at that width on the CPU too.
TEST(Suite, OnAGpuHeadsAreWide) {
  for (const char* rule : {"mdn", "kda", "attention"}) {
    const LayerChoice choice = layer_choices(plugin(rule), {}, c10::kCUDA).front();
    EXPECT_EQ(choice.shape.head_dim, 64) << rule;
    Verdict verdict;
    check_layer(choice, 1, at::kCPU, verdict);
    EXPECT_GT(verdict.cases().size(), 100u);
    for (const Case& row : verdict.cases())
      EXPECT_TRUE(row.passed) << rule << ": " << row.name << " " << row.error;
  }
}

TEST(Suite, KnowsTheRecurrenceOfALayer) {
  const auto recurrence = [](const char* rule) {
    return recurrence_of(layer_choices(plugin(rule), {}).front());
  };
  EXPECT_EQ(recurrence("mdn"), (Recurrence{true, true, Decay::scalar}));
  EXPECT_EQ(recurrence("delta_momentum"), (Recurrence{true, true, Decay::none}));
  EXPECT_EQ(recurrence("mamba2"), (Recurrence{false, false, Decay::scalar}));
  EXPECT_EQ(recurrence("attention"), std::nullopt);
}

TEST(Suite, PassesARuleWithoutRecurrenceAndNamesEveryCaseOnce) {
  const Verdict verdict = Suite(1).check(plugin("attention"));
  std::set<std::string> names;
  for (const Case& row : verdict.cases()) {
    EXPECT_TRUE(row.passed) << row.name << ": " << row.error << " " << row.note;
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
  }
  EXPECT_GT(names.size(), 80u);
}

TEST(Suite, DrawsTheSameForOneSeed) {
  const auto errors = [](std::uint64_t seed) {
    std::vector<double> list;
    const Verdict verdict = Suite(seed).check(plugin("attention"));
    for (const Case& row : verdict.cases()) list.push_back(row.error);
    return list;
  };
  EXPECT_EQ(errors(1), errors(1));
  EXPECT_NE(errors(1), errors(2));
}

}  // namespace
}  // namespace mdnlab::check
