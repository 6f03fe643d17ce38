// Attention over sequences longer than a block of the windowed computation: its blocks, its documents, its
// cache; and what its options ask of the shape.
#include "ops/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../error_of.h"
#include "layer.h"

namespace mdnlab {
namespace {

using testing::HasSubstr;

constexpr double exact = 1e-12;

at::Tensor random_heads(std::int64_t heads, std::int64_t tokens, std::uint64_t seed) {
  return random_input(heads, tokens, at::kDouble, seed).unsqueeze(0);
}

// All scores at once, with the whole T×S mask.
at::Tensor masked(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t window,
                  const ops::Documents& documents) {
  const std::int64_t past = k.size(2) - q.size(2);
  const at::Tensor query = at::arange(past, k.size(2)).unsqueeze(1), key = at::arange(k.size(2)).unsqueeze(0);
  at::Tensor mask = (key <= query) & (key > query - window);
  if (documents.exist()) mask = mask & (key >= query - documents.position_BT[0].unsqueeze(1));
  return at::scaled_dot_product_attention(q, k, v, mask);
}

TEST(Windowed, BlocksGiveWhatOneMaskGives) {
  const at::NoGradGuard no_grad;
  for (const std::int64_t window : {1, 2, 127, 128, 129, 200}) {
    for (const auto& [tokens, past] : {std::pair<std::int64_t, std::int64_t>{1, 300},
                                       {127, 0},
                                       {129, 0},
                                       {389, 0},
                                       {200, 1},
                                       {130, 199},
                                       {331, 60}}) {
      const at::Tensor q = random_heads(2, tokens, 1), k = random_heads(2, past + tokens, 2),
                       v = random_heads(2, past + tokens, 3);
      EXPECT_LT(relative_error(ops::causal_attention(q, k, v, {}, window), masked(q, k, v, window, {})),
                exact)
          << "window " << window << ", " << tokens << " tokens after " << past;
    }
  }
}

TEST(Windowed, BlocksKeepDocumentsApart) {
  const at::NoGradGuard no_grad;
  const ops::Documents documents = ops::documents(1, 401, {3, 4, 100, 150, 389});
  for (const std::int64_t window : {2, 60, 128, 300}) {
    const at::Tensor q = random_heads(2, 401, 1), k = random_heads(2, 401, 2), v = random_heads(2, 401, 3);
    EXPECT_LT(
        relative_error(ops::causal_attention(q, k, v, documents, window), masked(q, k, v, window, documents)),
        exact)
        << "window " << window;
  }
}

TEST(Windowed, DecodingFarBeyondTheWindowEqualsTheWhole) {
  const at::NoGradGuard no_grad;
  const Layer layer({"sliding_attention", {"window=20"}});
  const at::Tensor x = random_input(2, 310);
  LayerState state;
  std::vector<at::Tensor> parts{layer.next(x.narrow(1, 0, 150), state)};
  for (std::int64_t t = 150; t < 280; ++t) {
    parts.push_back(layer.next(x.narrow(1, t, 1), state));
    ASSERT_EQ(state.tensors[0].size(2), 20);
  }
  parts.push_back(layer.next(x.narrow(1, 280, 30), state));
  EXPECT_EQ(state.position, 310);
  EXPECT_LT(relative_error(at::cat(parts, 1), layer.whole(x)), exact);
}

TEST(Windowed, StateAndCostStopGrowing) {
  const auto rule =
      make_rule("sliding_attention", {"window=16"}, {.hidden_size = 8, .num_heads = 2, .head_dim = 4});
  const auto bytes = [&](std::int64_t context) {
    std::int64_t sum = 0;
    for (const StateSpec& state : rule->state(context, at::kFloat)) sum += state.bytes();
    return sum;
  };
  EXPECT_EQ(bytes(10), 2 * 10 * 8 * 4);
  EXPECT_EQ(bytes(16), 2 * 16 * 8 * 4);
  EXPECT_EQ(bytes(1 << 20), bytes(16));
  // Two products of 8 multiply-adds with each of 16 keys, but for the start.
  EXPECT_NEAR(rule->mixing_flops(1 << 20), 4 * 8 * 16, 1);
  EXPECT_EQ(rule->mixing_flops(16),
            make_rule("attention", {}, {.hidden_size = 8, .num_heads = 2, .head_dim = 4})->mixing_flops(16));
}

TEST(Attention, HeadsOfItsOwnAreRefusedWhereTheyDoNotFit) {
  const LayerShape shape{.hidden_size = 12, .num_heads = 2, .head_dim = 6};
  const auto refusal = [&](std::vector<std::string> options) {
    return std::string(error_of([&] { make_rule("attention", options, shape); }).what());
  };
  EXPECT_THAT(refusal({"num_heads=5"}),
              HasSubstr("do not divide hidden_size; found 5, expected a divisor of 12"));
  EXPECT_THAT(refusal({"num_heads=4"}), HasSubstr("rotary positions need an even head_dim"));
  EXPECT_THAT(refusal({"num_heads=6", "num_kv_heads=4"}),
              HasSubstr("num_kv_heads does not divide the heads; found 4, expected a divisor of 6"));
}

}  // namespace
}  // namespace mdnlab
