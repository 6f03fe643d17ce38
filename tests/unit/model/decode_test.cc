// Decoding: what is written does not depend on the neighbours, the segments or the batch.
#include "model/decode.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "document.h"
#include "model/sampling.h"

namespace mdnlab {
namespace {

constexpr std::int64_t vocabulary = 50;

struct Written {
  std::vector<std::int64_t> tokens;
  std::vector<at::Tensor> logits;  // that each was chosen from
};

std::vector<Written> write(const LanguageModel& model, const std::vector<std::vector<std::int64_t>>& prompts,
                           const std::vector<std::size_t>& lengths,
                           std::int64_t segment = prompt_segment_tokens) {
  std::vector<Written> written(prompts.size());
  decode(
      model, prompts,
      [&](const at::Tensor& logits, std::span<const std::size_t> sequences) {
        std::vector<std::int64_t> chosen = highest_tokens(logits);
        for (std::size_t i = 0; i < sequences.size(); ++i) {
          Written& one = written[sequences[i]];
          one.logits.push_back(logits[static_cast<std::int64_t>(i)].clone());
          one.tokens.push_back(chosen[i]);
          if (one.tokens.size() == lengths[sequences[i]]) chosen[i] = end_of_sequence;
        }
        return chosen;
      },
      segment);
  return written;
}

std::vector<std::int64_t> prompt(std::size_t length, std::uint64_t seed) {
  Random random{seed};
  std::vector<std::int64_t> tokens(length);
  for (std::int64_t& token : tokens) token = static_cast<std::int64_t>(random.below(vocabulary));
  return tokens;
}

// Tokens that the batch and the sequence alone choose; where they part, the two highest logits are closer
// than rounding, and what follows is another text.
struct Agreement {
  int equal = 0, parted = 0;
};

void compare(const Written& batched, const Written& alone, double rounding, Agreement& count) {
  for (std::size_t t = 0; t < alone.tokens.size(); ++t) {
    EXPECT_LT((batched.logits[t] - alone.logits[t]).abs().max().item<double>(), rounding) << "token " << t;
    if (batched.tokens[t] == alone.tokens[t]) {
      ++count.equal;
      continue;
    }
    ++count.parted;
    const at::Tensor top = std::get<0>(alone.logits[t].topk(2));
    EXPECT_LT((top[0] - top[1]).item<double>(), 2 * rounding);
    return;
  }
}

class EveryRule : public testing::TestWithParam<const char*> {
 protected:
  static LanguageModel model(at::ScalarType dtype, const std::string& more = "") {
    return LanguageModel(spec_of("rule: " + std::string(GetParam()) +
                                 "\nmodel: {hidden_size: 32, num_hidden_layers: 4, num_heads: 2,"
                                 " head_dim: 16, intermediate_size: 24" +
                                 more + "}"),
                         plugins(), vocabulary, dtype, 1);
  }
};

TEST_P(EveryRule, WritesInABatchOfDifferentPromptsWhatItWritesAlone) {
  const std::vector<std::size_t> lengths{7, 1, 12, 5, 9, 3};
  const std::vector<std::vector<std::int64_t>> prompts{prompt(37, 1), prompt(1, 2),  prompt(70, 3),
                                                       prompt(37, 4), prompt(38, 5), prompt(33, 6)};
  for (const auto& [dtype, rounding] :
       {std::pair(at::kDouble, 1e-10), {at::kFloat, 1e-4}, {at::kBFloat16, 0.05}}) {
    for (const char* more : {"", ", ratio: '1:1'"}) {
      const LanguageModel made = model(dtype, std::string(GetParam()) == "attention" ? "" : more);
      const std::vector<Written> together = write(made, prompts, lengths);
      Agreement count;
      for (std::size_t i = 0; i < prompts.size(); ++i) {
        ASSERT_EQ(together[i].tokens.size(), lengths[i]);
        compare(together[i], write(made, {prompts[i]}, {lengths[i]})[0], rounding, count);
      }
      EXPECT_GE(count.equal, dtype == at::kBFloat16 ? 20 : 37) << count.parted;
    }
  }
}

TEST_P(EveryRule, ReadsAPromptInSegmentsAsAtOnceAndWritesWhatTheWholeTextSays) {
  const at::NoGradGuard no_grad;
  const LanguageModel made = model(at::kDouble);
  const std::vector<std::int64_t> tokens = prompt(131, 7);
  const Written whole = write(made, {tokens}, {6})[0];
  for (const std::int64_t segment : {1, 2, 33, 64, 130}) {
    const Written parts = write(made, {tokens}, {6}, segment)[0];
    EXPECT_EQ(parts.tokens, whole.tokens) << segment;
    for (std::size_t t = 0; t < 6; ++t)
      EXPECT_LT((parts.logits[t] - whole.logits[t]).abs().max().item<double>(), 1e-9) << segment;
  }
  std::vector<std::int64_t> text = tokens;
  text.insert(text.end(), whole.tokens.begin(), whole.tokens.end());
  const at::Tensor logits = made.logits(made.hidden(at::tensor(text).unsqueeze(0)))[0];
  for (std::size_t t = 0; t < 6; ++t) {
    const at::Tensor expected = logits[static_cast<std::int64_t>(tokens.size() + t) - 1];
    EXPECT_LT((whole.logits[t] - expected).abs().max().item<double>(), 1e-9);
  }
}

INSTANTIATE_TEST_SUITE_P(Decode, EveryRule,
                         testing::Values("attention", "{name: sliding_attention, window: 16}", "mdn",
                                         "gated_deltanet", "deltanet", "decay_momentum", "delta_momentum",
                                         "kda", "kda_momentum", "{name: mamba2, head_width: 8}", "scalar_ssd",
                                         "family"));

TEST(Sampling, TakesTheHighestLogitWithoutTemperature) {
  Random random{1};
  EXPECT_EQ(sample_token(at::tensor({0.5, 3.0, 3.0, -1.0}), {}, random), 1);
  EXPECT_EQ(highest_tokens(at::tensor({1.0, 2.0, 4.0, 3.0}).view({2, 2})), (std::vector<std::int64_t>{1, 0}));
}

TEST(Sampling, DrawsByTheProbabilitiesAtATemperature) {
  const at::Tensor logits = at::tensor({0.1, 0.2, 0.3, 0.4}).log();
  Random random{3};
  const auto shares = [&](const Sampling& sampling) {
    std::vector<double> share(4);
    for (int i = 0; i < 20000; ++i)
      share[static_cast<std::size_t>(sample_token(logits, sampling, random))] += 1 / 20000.;
    return share;
  };
  using testing::DoubleNear;
  using testing::ElementsAre;
  EXPECT_THAT(shares({.temperature = 1}), ElementsAre(DoubleNear(0.1, 0.01), DoubleNear(0.2, 0.01),
                                                      DoubleNear(0.3, 0.012), DoubleNear(0.4, 0.012)));
  // Squares: 1, 4, 9, 16 of 30.
  EXPECT_THAT(shares({.temperature = 0.5}),
              ElementsAre(DoubleNear(1 / 30., 0.01), DoubleNear(4 / 30., 0.01), DoubleNear(9 / 30., 0.012),
                          DoubleNear(16 / 30., 0.012)));
  // 0.4 is not enough, 0.4 + 0.3 is.
  EXPECT_THAT(shares({.temperature = 1, .top_p = 0.6}),
              ElementsAre(0, 0, DoubleNear(3 / 7., 0.012), DoubleNear(4 / 7., 0.012)));
  EXPECT_THAT(shares({.temperature = 1, .top_p = 0.01}), ElementsAre(0, 0, 0, DoubleNear(1, 1e-9)));
}

// A few words of which some are equally likely, where the few likeliest are cut in the middle of them or not.
TEST(Sampling, TheFewLikeliestDrawWhatAllWould) {
  const at::Tensor logits = at::tensor({1.0, 0.5, 2.0, 0.5, 1.0, -1.0, 0.5, 1.0, 3.0, -4.0});
  for (const double top_p : {0.1, 0.6, 0.9, 0.97, 1.0}) {
    for (const double temperature : {0.3, 1.0, 5.0}) {
      Random of_all{7};
      std::vector<std::int64_t> expected;
      for (int i = 0; i < 300; ++i)
        expected.push_back(sample_token(logits, {.temperature = temperature, .top_p = top_p}, of_all, 10));
      for (const std::int64_t few : {1, 2, 4, 5, 7, 9}) {
        Random random{7};
        for (int i = 0; i < 300; ++i) {
          ASSERT_EQ(sample_token(logits, {.temperature = temperature, .top_p = top_p}, random, few),
                    expected[i])
              << few << " of 10, top_p " << top_p << ", temperature " << temperature << ", draw " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace mdnlab
