// Initial values: their laws, and that nothing but seed, name and size moves them.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "layer.h"

namespace mdnlab {
namespace {

using testing::AllOf;
using testing::Each;
using testing::Ge;
using testing::Le;
using testing::Pair;
using testing::UnorderedElementsAre;

std::vector<double> drawn(const Initial& initial, std::int64_t count, std::uint64_t seed = 1,
                          std::string_view name = "w") {
  at::Tensor tensor = at::empty({count}, at::kDouble);
  fill(tensor, initial, seed, name);
  return {tensor.data_ptr<double>(), tensor.data_ptr<double>() + count};
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double softplus(double x) { return std::log1p(std::exp(x)); }

TEST(InitialValues, FollowTheirLaws) {
  constexpr std::int64_t n = 40'000;
  const std::vector<double> normal = drawn({.kind = Initial::Kind::normal, .a = 0.02}, n);
  double squares = 0;
  for (const double value : normal) squares += value * value;
  EXPECT_NEAR(mean(normal), 0, 4 * 0.02 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 0.02 * 0.02, 0.02 * 0.02 * 4 * std::sqrt(2.0 / n));

  const std::vector<double> uniform = drawn({.kind = Initial::Kind::uniform, .a = -1, .b = 3}, n);
  EXPECT_THAT(uniform, Each(AllOf(Ge(-1), Le(3))));
  EXPECT_NEAR(mean(uniform), 1, 4 * 4 / std::sqrt(12.0 * n));

  std::vector<double> rate = drawn({.kind = Initial::Kind::log_uniform, .a = 0, .b = 16}, n);
  for (double& value : rate) value = std::exp(value);
  EXPECT_THAT(rate, Each(AllOf(Ge(1.6e-3 * (1 - 1e-12)), Le(16))));  // bounded away from 0
  EXPECT_NEAR(mean(rate), 8, 4 * 16 / std::sqrt(12.0 * n));

  std::vector<double> logarithm = drawn({.kind = Initial::Kind::inverse_softplus, .a = 1e-3, .b = 0.1}, n);
  for (double& value : logarithm) value = std::log(softplus(value));
  EXPECT_THAT(logarithm, Each(AllOf(Ge(std::log(1e-3) - 1e-9), Le(std::log(0.1) + 1e-9))));
  EXPECT_NEAR(mean(logarithm), std::log(1e-2), 4 * std::log(100.0) / std::sqrt(12.0 * n));

  EXPECT_EQ(softplus(drawn({.kind = Initial::Kind::inverse_softplus, .a = 1e-9, .b = 1e-8}, 1)[0]),
            softplus(std::log(std::expm1(1e-4))));
  EXPECT_THAT(drawn({.kind = Initial::Kind::constant, .a = 3}, 2), testing::ElementsAre(3, 3));
  EXPECT_THAT(drawn({.kind = Initial::Kind::log_count}, 3),
              testing::ElementsAre(0, std::log(2.0), std::log(3.0)));
}

TEST(InitialValues, AreAFunctionOfSeedNameAndSize) {
  const Initial normal{};
  EXPECT_EQ(drawn(normal, 5), drawn(normal, 5));
  EXPECT_NE(drawn(normal, 5), drawn(normal, 5, 2));
  EXPECT_NE(drawn(normal, 5), drawn(normal, 5, 1, "v"));
  at::Tensor narrow = at::empty({5}, at::kFloat);
  fill(narrow, normal, 1, "w");
  const std::vector<double> wide = drawn(normal, 5);
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(narrow.data_ptr<float>()[i], static_cast<float>(wide[static_cast<std::size_t>(i)]));
}

TEST(InitialValues, SayWhatTheyAre) {
  EXPECT_EQ(Initial{}.text(), "N(0, 0.02²)");
  EXPECT_EQ((Initial{.kind = Initial::Kind::log_uniform, .a = 0, .b = 16}).text(), "log U(0, 16)");
  EXPECT_EQ((Initial{.kind = Initial::Kind::constant, .a = 1}).text(), "1");
}

// The gate parameters of each rule, and the range of what they stand for, as the layers were published.
struct Range {
  double low, high;
};
using Ranges = std::vector<std::pair<std::string, Range>>;

double gate_value(const std::string& name, double value) {
  if (name == "dt_bias" || name == "mu_bias") return softplus(value);
  return name == "D" ? value : std::exp(value);
}

class GateValues : public testing::TestWithParam<std::pair<std::string, Ranges>> {};

TEST_P(GateValues, StartWithinTheirRange) {
  const auto& [name, ranges] = GetParam();
  const std::unique_ptr<Rule> rule =
      make_rule(name, {}, {.hidden_size = 2048, .num_heads = 64, .head_dim = 32});
  std::vector<std::string> seen;
  for (const ParameterSpec& spec : rule->parameters()) {
    const auto range = std::ranges::find(ranges, spec.name, &Ranges::value_type::first);
    if (range == ranges.end()) {
      if (spec.shape.size() > 1) {
        EXPECT_TRUE(spec.decays) << spec.name;
      } else {
        EXPECT_THAT(spec.name,
                    testing::AnyOf("o_norm.weight", "norm.weight", "conv1d.bias", "g_proj.1.bias"));
        EXPECT_FALSE(spec.decays) << spec.name;
      }
      continue;
    }
    seen.push_back(spec.name);
    EXPECT_FALSE(spec.decays) << spec.name;
    const bool per_channel = spec.name == "dt_bias" && name.starts_with("kda");
    EXPECT_EQ(spec.shape, std::vector<std::int64_t>{per_channel ? 64 * 32 : 64}) << spec.name;
    const double slack = 1e-9;
    for (const double value : drawn(spec.initial, spec.count(), 1, spec.name)) {
      EXPECT_GE(gate_value(spec.name, value), range->second.low * (1 - slack)) << spec.name;
      EXPECT_LE(gate_value(spec.name, value), range->second.high * (1 + slack)) << spec.name;
    }
  }
  EXPECT_EQ(seen.size(), ranges.size()) << name << " lacks a gate parameter";
}

const Range rate{1.6e-3, 16}, step{1e-3, 0.1};

INSTANTIATE_TEST_SUITE_P(
    Rules, GateValues,
    testing::Values(
        std::pair<std::string, Ranges>{"attention", {}},
        std::pair<std::string, Ranges>{
            "decay_momentum", {{"A_log", rate}, {"dt_bias", step}, {"Mu_log", rate}, {"mu_bias", step}}},
        std::pair<std::string, Ranges>{"delta_momentum", {{"Mu_log", rate}, {"mu_bias", step}}},
        std::pair<std::string, Ranges>{"deltanet", {}},
        std::pair<std::string, Ranges>{
            "family", {{"A_log", rate}, {"dt_bias", step}, {"Mu_log", rate}, {"mu_bias", step}}},
        std::pair<std::string, Ranges>{"gated_deltanet", {{"A_log", rate}, {"dt_bias", step}}},
        std::pair<std::string, Ranges>{"kda", {{"A_log", {1, 16}}, {"dt_bias", step}}},
        // escrow's sigmoid(mu_bias) is 0.5956 at c = 2
        std::pair<std::string, Ranges>{"kda_momentum",
                                       {{"A_log", {1, 16}}, {"dt_bias", step}, {"mu_bias", {0.905, 0.906}}}},
        std::pair<std::string, Ranges>{"mamba2", {{"A_log", {1, 64}}, {"dt_bias", step}, {"D", {1, 1}}}},
        std::pair<std::string, Ranges>{"mdn",
                                       {{"A_log", rate},
                                        {"dt_bias", step},
                                        {"Mu_log", rate},
                                        {"mu_bias", step},
                                        {"log_factor", {4e-4, 4}},
                                        {"D_log", {1e-4, 1}}}},
        std::pair<std::string, Ranges>{"scalar_ssd", {{"A_log", {1, 64}}, {"dt_bias", step}}},
        std::pair<std::string, Ranges>{"sliding_attention", {}}),
    [](const auto& info) { return info.param.first; });

TEST(GateValues, OfMamba2CountHeads) {
  const std::unique_ptr<Rule> rule =
      make_rule("mamba2", {}, {.hidden_size = 128, .num_heads = 1, .head_dim = 1});
  for (const ParameterSpec& spec : rule->parameters()) {
    if (spec.name != "A_log") continue;
    EXPECT_THAT(drawn(spec.initial, spec.count()),
                testing::ElementsAre(0, std::log(2.0), std::log(3.0), std::log(4.0)));
    return;
  }
  FAIL() << "no A_log";
}

}  // namespace
}  // namespace mdnlab
