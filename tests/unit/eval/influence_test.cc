// Medians of |c(t,i)| over a model's layers and heads, whatever is measured at a time.
#include "eval/influence.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "../model/document.h"
#include "base/random.h"

namespace mdnlab {
namespace {

constexpr std::int64_t T = 150;  // more than one pass reads

LanguageModel model(const char* rule) {
  return LanguageModel(spec_of("rule: " + std::string(rule) +
                               "\nmodel: {hidden_size: 32, num_hidden_layers: 2, num_heads: 2, head_dim: 16,"
                               " intermediate_size: 24, ratio: '1:1'}"),
                       plugins(), 300, at::kDouble, 1);
}

Item item_of(std::vector<std::int64_t> lags, std::int64_t tokens = T) {
  Random random{5};
  Item item{.prompt = {}, .influence_lags = std::move(lags)};
  for (std::int64_t t = 0; t < tokens; ++t)
    item.prompt.push_back(static_cast<std::int64_t>(random.below(300)));
  return item;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t n = values.size();
  return (values[n / 2] + values[(n - 1) / 2]) / 2;
}

TEST(Influence, IsTheMedianOfEveryTokensOwn) {
  const at::NoGradGuard no_grad;
  const LanguageModel made = model("mdn");  // and attention above it
  const Item item = item_of({0, 1, 7, 130, T - 1});
  std::map<std::array<std::int64_t, 3>, std::vector<double>> expected;  // by lag, layer, head
  const auto all_at_once = [&](std::size_t layer, const Rule& rule, const Weights& weights,
                               const at::Tensor& x) {
    const at::Tensor c = rule.influence(x, weights, 0, T)->select(0, 0).contiguous();
    for (const std::int64_t lag : item.influence_lags) {
      for (std::int64_t t = lag; t < T; ++t) {
        for (std::int64_t head = 0; head < 2; ++head) {
          const double value = std::abs(c[t][head][t - lag].item<double>());
          expected[{lag, static_cast<std::int64_t>(layer), head}].push_back(value);
          expected[{lag, -1, -1}].push_back(value);
        }
      }
    }
  };
  (void)made.hidden(at::tensor(item.prompt).unsqueeze(0), {}, nullptr,
                    {.rule_input = all_at_once, .output = {}});
  const Answer answer = measure_influence(made, std::vector{item}).at(0);
  EXPECT_EQ(answer.influence.size(), expected.size());
  for (const Influence& one : answer.influence) {
    const auto values = expected.find({one.lag, one.layer, one.head});
    ASSERT_NE(values, expected.end());
    EXPECT_NEAR(one.median, median(values->second), 1e-12 + 1e-9 * one.median)
        << one.lag << " " << one.layer << "." << one.head;
  }
}

TEST(Influence, LeavesOutLagsThatASequenceDoesNotHave) {
  const auto answers =
      measure_influence(model("gated_deltanet"), std::vector{item_of({0, 4, 9}, 9), item_of({4}, 3)});
  ASSERT_EQ(answers.size(), 2u);
  for (const Influence& one : answers[0].influence) EXPECT_LT(one.lag, 9);
  EXPECT_EQ(answers[0].influence.size(), 2u * 5) << "two lags of all and of four heads";
  EXPECT_TRUE(answers[1].influence.empty());
}

}  // namespace
}  // namespace mdnlab
