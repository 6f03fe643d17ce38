// The family's switches: each turns on its own gates and nothing else, and a named rule is one of the cells.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "../error_of.h"
#include "layer.h"

namespace mdnlab {
namespace {

using testing::AllOf;
using testing::HasSubstr;

bool is_gate(const std::string& name) {
  const std::string stem = name.substr(0, name.find('.'));
  static const std::set<std::string> gates{"a_proj", "b_proj",  "m_proj", "e_proj", "f_proj",
                                           "A_log",  "dt_bias", "Mu_log", "mu_bias"};
  return gates.contains(stem);
}

TEST(Family, ASwitchTurnsOnItsGatesAndNothingElse) {
  std::vector<std::string> shell;
  for (const bool delta : {false, true}) {
    for (const bool momentum : {false, true}) {
      for (const std::string decay : {"none", "scalar", "channel"}) {
        const std::vector<std::string> options{std::string("delta=") + (delta ? "true" : "false"),
                                               std::string("momentum=") + (momentum ? "true" : "false"),
                                               "decay=" + decay};
        std::vector<std::string> rest;
        std::set<std::string> gates;
        for (const ParameterSpec& spec :
             make_rule("family", options, {.hidden_size = 32, .num_heads = 2, .head_dim = 8})->parameters()) {
          if (is_gate(spec.name)) {
            gates.insert(spec.name);
          } else {
            rest.push_back(spec.name + testing::PrintToString(spec.shape) + spec.initial.text());
          }
        }
        if (shell.empty()) shell = rest;
        EXPECT_EQ(rest, shell) << testing::PrintToString(options);

        std::set<std::string> expected{"b_proj.weight"};
        if (decay == "scalar") expected.merge(std::set<std::string>{"a_proj.weight", "A_log", "dt_bias"});
        if (decay == "channel")
          expected.merge(std::set<std::string>{"f_proj.0.weight", "f_proj.1.weight", "A_log", "dt_bias"});
        if (momentum) expected.merge(std::set<std::string>{"m_proj.weight", "Mu_log", "mu_bias"});
        if (momentum && delta) expected.insert("e_proj.weight");
        EXPECT_EQ(gates, expected) << testing::PrintToString(options);
      }
    }
  }
  EXPECT_EQ(shell.size(), 9u);  // q, k, v, g, o; three convolutions; the norm
}

TEST(Family, NamedRulesAreItsCells) {
  const at::NoGradGuard no_grad;
  const at::Tensor x = random_input(2, 23);
  const auto same = [&](const std::string& rule, const std::vector<std::string>& options,
                        const std::vector<std::string>& cell) {
    EXPECT_TRUE(at::equal(Layer({rule, options}).whole(x), Layer({"family", cell}).whole(x))) << rule;
  };
  same("deltanet", {}, {"momentum=false", "decay=none"});
  same("gated_deltanet", {}, {"momentum=false", "output_gate=silu"});
  same("delta_momentum", {}, {"decay=none"});
  same("decay_momentum", {}, {"delta=false"});
  same("mdn", {}, {"gate_constraint=paper", "output_correction=true"});
  same("mdn", {"gate_constraint=escrow"}, {"gate_constraint=escrow", "output_correction=true"});
}

// kda's output gate has another rank, so its gates are compared.
TEST(Family, KdasGatesAreItsChannelCells) {
  const at::NoGradGuard no_grad;
  const at::Tensor x = random_input(2, 23);
  const auto gates = [&](const LayerCase& choice) {
    const Layer layer(choice);
    return layer.rule().coefficients(x, layer.weights()).value();
  };
  const Coefficients kda = gates({"kda", {}}), cell = gates({"family", {"momentum=false", "decay=channel"}});
  EXPECT_EQ(kda.log_alpha.sizes(), at::IntArrayRef({2, 23, 2, 4}));
  EXPECT_TRUE(at::equal(kda.log_alpha, cell.log_alpha));
  EXPECT_TRUE(at::equal(kda.beta, cell.beta));
  EXPECT_TRUE(kda.has_delta);
  EXPECT_FALSE(kda.log_mu.defined());

  const Coefficients with = gates({"kda_momentum", {}}),
                     other = gates({"family", {"decay=channel", "gate_constraint=escrow"}});
  EXPECT_TRUE(at::equal(with.log_mu, other.log_mu));
  EXPECT_TRUE(at::equal(with.beta, other.beta));
  EXPECT_TRUE(at::equal(with.eta, other.eta));
}

TEST(Family, WithoutMomentumItsOptionsHaveNoEffect) {
  const at::NoGradGuard no_grad;
  const at::Tensor x = random_input(1, 9);
  const at::Tensor plain = Layer({"family", {"momentum=false"}}).whole(x);
  for (const std::string option :
       {"gate_constraint=paper", "min_log_mu=-1", "erase_share=true", "look_ahead=1"}) {
    EXPECT_TRUE(at::equal(Layer({"family", {"momentum=false", option}}).whole(x), plain)) << option;
  }
  EXPECT_TRUE(at::equal(Layer({"family", {"momentum=false", "decay=none", "gate_constraint=paper"}}).whole(x),
                        Layer({"family", {"momentum=false", "decay=none"}}).whole(x)));
}

TEST(Coefficients, AreToldByTheSharedLayerOnly) {
  const at::NoGradGuard no_grad;
  for (const LayerCase& choice : layer_cases()) {
    const Layer layer(choice, at::kFloat);
    const auto gates = layer.rule().coefficients(random_input(1, 3, at::kFloat), layer.weights());
    const bool is_shared = std::ranges::any_of(
        layer.rule().parameters(), [](const ParameterSpec& spec) { return spec.name == "b_proj.weight"; });
    ASSERT_EQ(gates.has_value(), is_shared) << choice.name();
    if (!gates) continue;
    for (const at::Tensor& gate : {gates->log_alpha, gates->log_mu, gates->beta, gates->eta})
      EXPECT_TRUE(!gate.defined() || gate.scalar_type() == at::kFloat) << choice.name();
  }
}

Error refusal(const std::string& rule, const std::vector<std::string>& options) {
  return error_of([&] { make_rule(rule, options, {.hidden_size = 32, .num_heads = 2, .head_dim = 8}); });
}

TEST(Options, ThatContradictEachOtherAreRefused) {
  const auto refuses = [](const std::string& rule, const std::vector<std::string>& options,
                          const auto& message) {
    const Error error = refusal(rule, options);
    EXPECT_EQ(error.code(), Code::usage);
    EXPECT_THAT(error.what(), message);
  };
  for (const std::string rule : {"delta_momentum", "family"}) {
    refuses(
        rule, {rule == "family" ? "decay=none" : "erase_share=false", "gate_constraint=paper"},
        AllOf(
            HasSubstr("gate_constraint=paper: rule " + rule + ": gate_constraint paper ties β to the decay"),
            HasSubstr("with α = cos²θ = 1, β = sin²θ = 0"), HasSubstr("effective_step, escrow or none")));
  }
  refuses("mdn", {"gate_constraint=escrow", "min_log_mu=-2"},
          AllOf(HasSubstr("min_log_mu=-2"), HasSubstr("escrow has no place for min_log_mu")));
  refuses("mdn", {"erase_share=true"},
          AllOf(HasSubstr("erase_share belongs to gate_constraint escrow"),
                HasSubstr("gate_constraint is paper")));
  refuses("gated_deltanet", {"num_v_heads=3"},
          AllOf(HasSubstr("num_heads does not divide num_v_heads"),
                HasSubstr("found 3, expected a multiple of 2")));
  refuses("mdn", {"allow_neg_eigval=true"},
          HasSubstr("allow_neg_eigval doubles β, which momentum's gates bound"));
  for (const std::string rule : {"scalar_ssd", "decay_momentum"}) {
    refuses(rule, {"allow_neg_eigval=true"},
            AllOf(HasSubstr("turns the eigenvalue α(1−β), which needs delta"),
                  HasSubstr("it is for rules with delta and without momentum")));
  }
}

TEST(Options, OfTheTablesFitTheCell) {
  const auto names = [](const std::string& rule) {
    std::vector<std::string> list;
    for (const Field& field : plugins().find(rule).options()) list.emplace_back(field.name);
    return list;
  };
  const std::vector<std::string> shell{"output_correction", "output_gate", "use_short_conv", "num_v_heads",
                                       "allow_neg_eigval"};
  for (const std::string rule : {"deltanet", "gated_deltanet", "kda", "scalar_ssd"})
    EXPECT_EQ(names(rule), shell) << rule;
  for (const std::string rule : {"mdn", "delta_momentum", "decay_momentum", "kda_momentum", "family"}) {
    EXPECT_THAT(names(rule), testing::IsSupersetOf(shell)) << rule;
    EXPECT_THAT(names(rule), testing::IsSupersetOf({"gate_constraint", "min_log_mu", "look_ahead"})) << rule;
  }
  EXPECT_THAT(names("decay_momentum"),
              testing::Not(testing::Contains(testing::AnyOf("tau_factor", "erase_share", "escrow_c"))));
}

}  // namespace
}  // namespace mdnlab
