// The sizes of the published 400M configurations, counted without making a tensor.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "document.h"

namespace mdnlab {
namespace {

const std::string mdn =
    "rule: mdn\nmodel: {hidden_size: 1024, num_hidden_layers: 21, num_heads: 6, head_dim: 128, expand_v: 2}";
const std::string gated_deltanet =
    "rule: gated_deltanet\nmodel: {hidden_size: 1024, num_hidden_layers: 21, num_heads: 6, head_dim: 128, "
    "expand_v: 2}";
const std::string kda =
    "rule: kda\nmodel: {hidden_size: 1024, num_hidden_layers: 24, num_heads: 8, head_dim: 128}";
const std::string mamba2 =
    "rule: mamba2\nmodel: {hidden_size: 1024, num_hidden_layers: 48, num_heads: 32, hidden_ratio: 0}";
const std::string transformer =
    "rule: attention\nmodel: {hidden_size: 1024, num_hidden_layers: 24, num_heads: 16}";

std::string hybrid(const std::string& ratio) {
  return "rule: mdn\nmodel: {hidden_size: 1024, num_hidden_layers: 24, num_heads: 8, head_dim: 128, ratio: "
         "'" +
         ratio + "'}";
}

TEST(PublishedSizes, ParametersAreTheAuthors) {
  EXPECT_EQ(parameters_of(mdn), 417'537'012);
  EXPECT_EQ(parameters_of(gated_deltanet), 417'278'460);
  EXPECT_EQ(parameters_of(kda), 424'384'704);
  EXPECT_EQ(parameters_of(mamba2), 419'778'048);
  EXPECT_EQ(parameters_of(transformer), 411'257'856);
}

TEST(PublishedSizes, HybridsAreTheAuthors) {
  EXPECT_NEAR(static_cast<double>(parameters_of(hybrid("3:1"))), 430.9e6, 0.05e6);
  EXPECT_NEAR(static_cast<double>(parameters_of(hybrid("7:1"))), 434.2e6, 0.05e6);
}

TEST(PublishedSizes, Of1300MToo) {
  const std::string shape =
      "model: {hidden_size: 2048, num_hidden_layers: 21, num_heads: 6, head_dim: 256, expand_v: 2}";
  EXPECT_NEAR(static_cast<double>(parameters_of("rule: mdn\n" + shape)), 1462.6e6, 0.05e6);
  EXPECT_NEAR(static_cast<double>(parameters_of("rule: gated_deltanet\n" + shape)), 1462.1e6, 0.05e6);
  EXPECT_NEAR(static_cast<double>(parameters_of(
                  "rule: mamba2\nmodel: {hidden_size: 2048, num_hidden_layers: 48, num_heads: 1, "
                  "hidden_ratio: 0}")),
              1446.6e6, 0.05e6);
  EXPECT_NEAR(static_cast<double>(parameters_of(
                  "rule: kda\nmodel: {hidden_size: 2048, num_hidden_layers: 24, num_heads: 16}")),
              1465.7e6, 0.05e6);
  EXPECT_NEAR(static_cast<double>(parameters_of(
                  "rule: attention\nmodel: {hidden_size: 2048, num_hidden_layers: 24, num_heads: 32}")),
              1439.1e6, 0.05e6);
}

// S and M alone, as recurrences are compared; convolutions come on top.
std::int64_t memory_elements(const std::string& yaml) {
  const ModelSpec spec = spec_of(yaml);
  std::int64_t elements = 0;
  for (const auto& rule : build_rules(spec, plugins())) {
    for (const StateSpec& state : rule->state(4096, at::kFloat)) {
      if (state.name == "S" || state.name == "M") elements += state.bytes() / 4;
    }
  }
  return elements;
}

TEST(PublishedSizes, StatesAreTheAuthors) {
  EXPECT_EQ(memory_elements(mdn), 21 * 2 * 6 * 128 * 256);         // 8.26 M
  EXPECT_EQ(memory_elements(gated_deltanet), 21 * 6 * 128 * 256);  // 4.13 M
  EXPECT_EQ(memory_elements(kda), 24 * 8 * 128 * 128);             // 3.15 M
  EXPECT_EQ(memory_elements(mamba2), 48 * 32 * 128 * 64);          // 12.58 M
}

TEST(PublishedSizes, StateBytesCountEverythingThatDecodingNeeds) {
  const auto bytes = [](const std::string& yaml, std::int64_t context, at::ScalarType dtype) {
    const ModelSpec spec = spec_of(yaml);
    return model_facts(spec, build_rules(spec, plugins()), 50'257, context, dtype).state_bytes;
  };
  const std::int64_t convolution = 3 * (6 * 128 + 6 * 128 + 6 * 256);  // three past inputs of q, k and v
  EXPECT_EQ(bytes(mdn, 4096, at::kFloat), 21 * 4 * (2 * 6 * 128 * 256 + convolution));
  EXPECT_EQ(bytes(mdn, 4096, at::kBFloat16), 21 * (4 * 2 * 6 * 128 * 256 + 2 * convolution));
  EXPECT_EQ(bytes(mdn, 128, at::kFloat), bytes(mdn, 4096, at::kFloat));
  EXPECT_EQ(bytes(transformer, 4096, at::kBFloat16), 24ll * 2 * 2 * 1024 * 4096);
}

double flops(const std::string& yaml, std::int64_t vocabulary, std::int64_t context) {
  const ModelSpec spec = spec_of(yaml);
  return model_facts(spec, build_rules(spec, plugins()), vocabulary, context, at::kFloat).flops_per_token;
}

TEST(FlopsAToken, OfAttentionGrowWithTheKeysThatATokenSees) {
  const std::string attention =
      "rule: attention\nmodel: {hidden_size: 64, num_hidden_layers: 2, num_heads: 4, intermediate_size: "
      "128}";
  const double matrices =
      2 * (4 * 64 * 64 + 3 * 64 * 128) + 100 * 64;  // the embedding is looked up, not multiplied
  // Token t sees t keys, 16.5 on average; q·k and the sum of values are 64 multiply-adds each.
  EXPECT_EQ(flops(attention, 100, 32), 6 * (matrices + 2 * (2 * 64 * 16.5)));
  EXPECT_EQ(flops(attention, 100, 1), 6 * (matrices + 2 * (2 * 64)));
  // A window of 8 over 32 tokens: 1 + … + 8 keys, then 24 tokens with 8.
  const std::string window = "rule: {name: sliding_attention, window: 8}" + attention.substr(15);
  EXPECT_EQ(flops(window, 100, 32), 6 * (matrices + 2 * (2 * 64 * (36 + 24 * 8) / 32.0)));
}

TEST(FlopsAToken, OfALinearRuleAreItsMatricesAndItsStateWhateverTheContext) {
  const std::string model =
      "model: {hidden_size: 64, num_hidden_layers: 3, num_heads: 2, head_dim: 16, expand_v: 2, "
      "hidden_ratio: 0}";
  const double head = 100 * 64, state = 2 * 16 * 32;
  // q and k of 32 channels, v, the gate and o of 64, and a, b, m, e a head; S is read with q and with p, k rᵀ
  // goes into M and M into S.
  const double mdn_matrices = 64 * (32 + 32 + 64 + 64 + 64 + 4 * 2);
  EXPECT_EQ(flops("rule: mdn\n" + model, 100, 64), 6 * (head + 3 * (mdn_matrices + 4 * state)));
  EXPECT_EQ(flops("rule: mdn\n" + model, 100, 4096), flops("rule: mdn\n" + model, 100, 64));
  // Without momentum and its gates m and e.
  const double gdn_matrices = mdn_matrices - 64 * 2 * 2;
  EXPECT_EQ(flops("rule: gated_deltanet\n" + model, 100, 64), 6 * (head + 3 * (gdn_matrices + 3 * state)));
}

TEST(FlopsAToken, OfMamba2AreItsTwoProjectionsItsWriteAndItsRead) {
  const std::string mamba2 =
      "rule: {name: mamba2, head_width: 16, state_size: 8}\nmodel: {hidden_size: 64, num_hidden_layers: 3, "
      "num_heads: 8, hidden_ratio: 0}";
  const double matrices = 64 * (128 + (128 + 2 * 8) + 8) + 128 * 64;  // z; x, B and C; Δt. And out.
  EXPECT_EQ(flops(mamba2, 100, 64), 6 * (100 * 64 + 3 * (matrices + 2 * 8 * 8 * 16)));
}

}  // namespace
}  // namespace mdnlab
