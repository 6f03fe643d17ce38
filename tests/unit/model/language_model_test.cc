// The language model as a whole: its tensors, its initial values, and that it goes on from its state.
#include "model/language_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "document.h"

namespace mdnlab {
namespace {

using testing::Contains;
using testing::Not;

std::string model(const std::string& rule, const std::string& more = "") {
  return "rule: " + rule +
         "\nmodel: {hidden_size: 16, num_hidden_layers: 4, num_heads: 2, intermediate_size: 24" + more + "}";
}

LanguageModel make(const std::string& yaml, std::uint64_t seed = 1, at::ScalarType dtype = at::kFloat) {
  return LanguageModel(spec_of(yaml), plugins(), 50, dtype, seed);
}

at::Tensor tokens(std::int64_t batch, std::int64_t length) {
  return (at::arange(batch * length, at::kLong) * 7 % 50).view({batch, length});
}

const at::Tensor& find(const LanguageModel& model, const std::string& name) {
  const auto found = std::ranges::find(model.parameters(), name, &Parameter::name);
  if (found == model.parameters().end()) throw std::runtime_error("no parameter " + name);
  return found->tensor;
}

std::vector<std::string> names(const LanguageModel& model) {
  std::vector<std::string> list;
  for (const Parameter& parameter : model.parameters()) list.push_back(parameter.name);
  return list;
}

std::int64_t count(const LanguageModel& model) {
  std::int64_t sum = 0;
  for (const Parameter& parameter : model.parameters()) sum += parameter.tensor.numel();
  return sum;
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

TEST(LanguageModel, HasExactlyTheTensorsThatThePlanCounts) {
  for (const char* rule : {"attention", "mdn", "{name: mamba2, head_width: 8}"}) {
    for (const char* more : {"", ", tie_word_embeddings: true", ", hidden_ratio: 0", ", ratio: '1:1'"}) {
      const std::string yaml = model(rule, more);
      const LanguageModel made = make(yaml);
      EXPECT_EQ(count(made), parameters_of(yaml, 50)) << yaml;
      const std::vector<std::string> list = names(made);
      EXPECT_EQ(std::set<std::string>(list.begin(), list.end()).size(), list.size());
      for (const Parameter& parameter : made.parameters())
        EXPECT_TRUE(parameter.tensor.is_leaf() && parameter.tensor.requires_grad());
    }
  }
}

TEST(LanguageModel, NamesItsTensorsAsTheFieldDoes) {
  EXPECT_THAT(
      names(make(model("mdn"))),
      testing::IsSupersetOf({"model.embeddings.weight", "model.layers.0.attn_norm.weight",
                             "model.layers.3.attn.q_proj.weight", "model.layers.3.attn.A_log",
                             "model.layers.0.mlp_norm.weight", "model.layers.0.mlp.gate_proj.weight",
                             "model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.down_proj.weight",
                             "model.norm.weight", "lm_head.weight"}));
}

TEST(LanguageModel, ATiedHeadIsTheEmbedding) {
  const LanguageModel tied = make(model("mdn", ", tie_word_embeddings: true"));
  EXPECT_THAT(names(tied), Not(Contains("lm_head.weight")));
  EXPECT_EQ(count(make(model("mdn"))) - count(tied), 50 * 16);
  const at::Tensor hidden = tied.hidden(tokens(1, 9));
  EXPECT_LT(difference(tied.logits(hidden), hidden.matmul(find(tied, "model.embeddings.weight").t())), 1e-6);
}

TEST(LanguageModel, EveryParameterHasAGradient) {
  for (const char* rule :
       {"attention", "decay_momentum", "delta_momentum", "deltanet", "family", "gated_deltanet", "kda",
        "kda_momentum", "{name: mamba2, head_width: 8}", "mdn", "scalar_ssd"}) {
    const LanguageModel made = make(model(rule));
    made.logits(made.hidden(tokens(2, 13))).square().sum().backward();
    for (const Parameter& parameter : made.parameters()) {
      ASSERT_TRUE(parameter.tensor.grad().defined()) << rule << ": " << parameter.name;
      EXPECT_TRUE(at::isfinite(parameter.tensor.grad()).all().item<bool>()) << rule << ": " << parameter.name;
      EXPECT_GT(parameter.tensor.grad().abs().sum().item<double>(), 0) << rule << ": " << parameter.name;
    }
  }
}

TEST(LanguageModel, InitialValuesDependOnTheSeedAndTheNameAlone) {
  const LanguageModel base = make(model("mdn"));
  const LanguageModel again = make(model("mdn"));
  const LanguageModel other = make(model("mdn"), 2);
  for (const Parameter& parameter : base.parameters()) {
    EXPECT_TRUE(at::equal(parameter.tensor, find(again, parameter.name))) << parameter.name;
    const bool is_constant = parameter.name.ends_with("norm.weight");
    EXPECT_EQ(at::equal(parameter.tensor, find(other, parameter.name)), is_constant) << parameter.name;
  }
}

// A run of an ablation starts from the same values in all that it shares with the others.
TEST(LanguageModel, AChangeOfOneLayerLeavesTheInitialValuesOfTheRest) {
  const LanguageModel base = make(model("mdn"));
  for (const std::string& yaml :
       {model("gated_deltanet"), model("mdn", ", tie_word_embeddings: true"), model("mdn", ", ratio: '3:1'"),
        model("{name: mdn, gate_constraint: none}"), model("mdn", ", conv_size: 0")}) {
    const LanguageModel changed = make(yaml);
    std::int64_t shared = 0;
    for (const Parameter& parameter : changed.parameters()) {
      const auto same = std::ranges::find(base.parameters(), parameter.name, &Parameter::name);
      if (same == base.parameters().end() || same->tensor.sizes() != parameter.tensor.sizes()) continue;
      EXPECT_TRUE(at::equal(parameter.tensor, same->tensor)) << yaml << ": " << parameter.name;
      ++shared;
    }
    EXPECT_GT(shared, 30) << yaml;
  }
}

TEST(LanguageModel, LayersAndTensorsOfOneShapeStartDifferently) {
  const LanguageModel base = make(model("mdn"));
  EXPECT_FALSE(at::equal(find(base, "model.layers.0.attn.q_proj.weight"),
                         find(base, "model.layers.1.attn.q_proj.weight")));
  EXPECT_FALSE(at::equal(find(base, "model.layers.0.attn.q_proj.weight"),
                         find(base, "model.layers.0.attn.k_proj.weight")));
}

TEST(LanguageModel, GoesOnFromItsState) {
  const at::NoGradGuard no_grad;
  for (const char* rule : {"attention", "mdn", "{name: mamba2, head_width: 8}", "kda_momentum",
                           "{name: gated_deltanet, num_v_heads: 4}"}) {
    const LanguageModel made = make(model(rule, ", ratio: '1:1'"), 1, at::kDouble);
    const at::Tensor x = tokens(2, 21);
    const at::Tensor whole = made.hidden(x);
    ModelState state;
    std::vector<at::Tensor> parts{made.hidden(x.narrow(1, 0, 12), {}, &state)};
    for (std::int64_t t = 12; t < 21; ++t) parts.push_back(made.hidden(x.narrow(1, t, 1), {}, &state));
    EXPECT_LT(difference(at::cat(parts, 1), whole), 1e-12) << rule;
    EXPECT_EQ(state.layers.size(), 4u);
  }
}

TEST(LanguageModel, ALaterTokenNeverChangesAnEarlierLogit) {
  const at::NoGradGuard no_grad;
  const LanguageModel made = make(model("mdn", ", ratio: '1:1'"));
  const at::Tensor x = tokens(1, 21);
  at::Tensor other = x.clone();
  other.narrow(1, 15, 6).fill_(3);
  const at::Tensor before = made.logits(made.hidden(x)), after = made.logits(made.hidden(other));
  EXPECT_TRUE(at::equal(before.narrow(1, 0, 15), after.narrow(1, 0, 15)));
  EXPECT_FALSE(at::equal(before, after));
}

TEST(LanguageModel, LogitsAreWideWhateverTheComputeDtype) {
  const at::NoGradGuard no_grad;
  for (const auto& [dtype, wide] :
       {std::pair{at::kFloat, at::kFloat}, {at::kBFloat16, at::kFloat}, {at::kDouble, at::kDouble}}) {
    const LanguageModel made = make(model("mdn"), 1, dtype);
    const at::Tensor hidden = made.hidden(tokens(2, 5));
    EXPECT_EQ(hidden.scalar_type(), dtype);
    EXPECT_EQ(made.logits(hidden).scalar_type(), wide);
    EXPECT_EQ(made.logits(hidden).sizes(), at::IntArrayRef({2, 5, 50}));
    for (const Parameter& parameter : made.parameters()) EXPECT_EQ(parameter.tensor.scalar_type(), wide);
  }
}

TEST(LanguageModel, Bfloat16IsNearFloat32) {
  const at::NoGradGuard no_grad;
  const LanguageModel wide = make(model("mdn")), narrow = make(model("mdn"), 1, at::kBFloat16);
  const at::Tensor x = tokens(2, 40);
  EXPECT_LT(difference(narrow.hidden(x).to(at::kFloat), wide.hidden(x)), 0.02);
}

}  // namespace
}  // namespace mdnlab
