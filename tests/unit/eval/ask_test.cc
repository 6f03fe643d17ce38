// Answers do not depend on what is asked beside them.
#include "eval/ask.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "../error_of.h"
#include "../model/document.h"
#include "base/random.h"
#include "data/byte_tokenizer.h"

namespace mdnlab {
namespace {

using testing::HasSubstr;

constexpr std::int64_t vocabulary = 300;  // wider than the bytes

std::vector<std::int64_t> some_tokens(std::size_t count, std::uint64_t seed) {
  Random random{seed};
  std::vector<std::int64_t> tokens(count);
  for (std::int64_t& token : tokens) token = static_cast<std::int64_t>(random.below(256));
  return tokens;
}

class Given final : public Items {
 public:
  explicit Given(std::vector<Item> items) : items_(std::move(items)) {}
  std::int64_t count() const override { return std::ssize(items_); }
  Item item(std::int64_t index) const override { return items_[static_cast<std::size_t>(index)]; }
  Mark mark(std::int64_t, const Item&, const Answer&) const override { return {}; }
  const Tokenizer* tokenizer() const override { return &tokenizer_; }

 private:
  std::vector<Item> items_;
  ByteTokenizer tokenizer_;
};

using Answers = std::map<std::int64_t, Answer>;

Answers asked(const LanguageModel& model, const std::vector<Item>& items, std::int64_t batch_tokens = 8192) {
  const Given given(items);
  std::vector<std::int64_t> indices(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) indices[i] = static_cast<std::int64_t>(i);
  Answers answers;
  ask(model, given, indices,
      {.answered =
           [&](std::int64_t index, const Item&, const Answer& answer) {
             EXPECT_TRUE(answers.emplace(index, answer).second) << "asked twice: " << index;
           }},
      batch_tokens);
  return answers;
}

LanguageModel model(const char* rule) {
  return LanguageModel(spec_of("rule: " + std::string(rule) +
                               "\nmodel: {hidden_size: 32, num_hidden_layers: 4, num_heads: 2, head_dim: 16,"
                               " intermediate_size: 24, ratio: '1:1'}"),
                       plugins(), vocabulary, at::kDouble, 1);
}

// ln p of `token` after `before`, from the whole at once.
double by_hand(const LanguageModel& model, const std::vector<std::int64_t>& before, std::int64_t token) {
  const at::NoGradGuard no_grad;
  const at::Tensor logits = model.logits(model.hidden(at::tensor(before).unsqueeze(0)))[0].select(0, -1);
  return at::log_softmax(logits, -1)[token].item<double>();
}

TEST(Ask, GivesContinuationsTheProbabilitiesThatTheyHaveAlone) {
  const LanguageModel made = model("mdn");
  std::vector<Item> items;
  for (std::uint64_t i = 0; i < 7; ++i) {
    items.push_back(
        {.prompt = some_tokens(1 + 13 * i, i),
         .continuations = {some_tokens(1, 100 + i), some_tokens(4, 200 + i), some_tokens(9, 300 + i)}});
  }
  for (const std::int64_t batch_tokens : {8192, 90, 16}) {  // 16: in segments
    const Answers answers = asked(made, items, batch_tokens);
    ASSERT_EQ(answers.size(), items.size());
    for (const auto& [index, answer] : answers) {
      const Item& item = items[static_cast<std::size_t>(index)];
      ASSERT_EQ(answer.log_probabilities.size(), 3u);
      for (std::size_t c = 0; c < 3; ++c) {
        std::vector<std::int64_t> before = item.prompt;
        ASSERT_EQ(answer.log_probabilities[c].size(), item.continuations[c].size());
        for (std::size_t t = 0; t < item.continuations[c].size(); ++t) {
          const std::int64_t token = item.continuations[c][t];
          EXPECT_NEAR(answer.log_probabilities[c][t], by_hand(made, before, token), 1e-9);
          before.push_back(token);
        }
      }
    }
  }
}

TEST(Ask, ReadsAPromptOnceForAllThatMayFollowIt) {
  for (const char* rule : {"mdn", "mamba2", "sliding_attention"}) {
    const LanguageModel made = model(rule);
    std::vector<Item> items;
    for (std::uint64_t i = 0; i < 40; ++i) {  // more than go on side by side; of one length, and of others
      items.push_back({.prompt = some_tokens(60 + i % 7, i), .continuations = {}});
      for (std::uint64_t c = 0; c < 2 + i % 4; ++c)
        items.back().continuations.push_back(some_tokens(1 + (7 * i + 11 * c) % 37, 100 * i + c));
    }
    items.push_back({.prompt = some_tokens(300, 50), .continuations = {{1}, {2, 3}, some_tokens(200, 51)}});
    for (const std::int64_t batch_tokens : {8192, 700, 50}) {  // 50: prompts in segments
      const Answers answers = asked(made, items, batch_tokens);
      ASSERT_EQ(answers.size(), items.size());
      for (const auto& [index, answer] : answers) {
        const Item& item = items[static_cast<std::size_t>(index)];
        for (std::size_t c = 0; c < item.continuations.size(); ++c) {
          std::vector<std::int64_t> whole = item.prompt;
          whole.insert(whole.end(), item.continuations[c].begin(), item.continuations[c].end());
          const at::NoGradGuard no_grad;
          const at::Tensor ln_p =
              at::log_softmax(made.logits(made.hidden(at::tensor(whole).unsqueeze(0)))[0], -1);
          ASSERT_EQ(answer.log_probabilities[c].size(), item.continuations[c].size());
          for (std::size_t t = item.prompt.size(); t < whole.size(); ++t) {
            EXPECT_NEAR(answer.log_probabilities[c][t - item.prompt.size()],
                        ln_p[static_cast<std::int64_t>(t) - 1][whole[t]].item<double>(), 1e-9)
                << rule << index << c;
          }
        }
      }
    }
  }
}

TEST(Ask, GivesLabelsWithinTheIdsThatThereAre) {
  const LanguageModel made = model("gated_deltanet");
  const std::vector<std::int64_t> prompt = some_tokens(40, 1);
  const auto label_at = [&](std::int64_t position, std::int64_t token) {
    std::vector<std::int64_t> before(prompt.begin(), prompt.begin() + position + 1);
    double sum = 0;
    for (std::int64_t id = 10; id < 14; ++id) sum += std::exp(by_hand(made, before, id));
    return by_hand(made, before, token) - std::log(sum);
  };
  const Item item{.prompt = prompt, .labels = {{3, 10}, {3, 13}, {20, 12}, {39, 14}}, .among = {{10, 14}}};
  for (const std::int64_t batch_tokens : {8192, 16}) {
    const Answers answers = asked(made, {item, item}, batch_tokens);
    for (const auto& [index, answer] : answers) {
      const std::vector<double>& ln_p = answer.log_probabilities.at(0);
      ASSERT_EQ(ln_p.size(), 4u);
      EXPECT_NEAR(ln_p[0], label_at(3, 10), 1e-9);
      EXPECT_NEAR(ln_p[1], label_at(3, 13), 1e-9);
      EXPECT_NEAR(ln_p[2], label_at(20, 12), 1e-9);
      EXPECT_EQ(ln_p[3], -INFINITY);
      double highest = -INFINITY;
      for (std::int64_t id = 10; id < 14; ++id) highest = std::max(highest, label_at(3, id));
      EXPECT_EQ(answer.highest[0][0], ln_p[0] > highest - 1e-12);
      EXPECT_FALSE(answer.highest[0][3]);
    }
  }
}

TEST(Ask, WritesInABatchWhatItWritesAlone) {
  const LanguageModel made = model("kda");
  std::vector<Item> items;
  for (std::uint64_t i = 0; i < 9; ++i)
    items.push_back({.prompt = some_tokens(20 + 7 * i, i), .most_tokens = 12});
  const Answers together = asked(made, items);
  for (const auto& [index, answer] : together) {
    EXPECT_EQ(answer.tokens.size(), 12u);
    EXPECT_EQ(answer.tokens, asked(made, {items[static_cast<std::size_t>(index)]}).at(0).tokens) << index;
    for (const std::int64_t token : answer.tokens) EXPECT_LT(token, 256);  // the tokenizer has no more
  }
}

TEST(Ask, EndsAtAMark) {
  const LanguageModel made = model("mdn");
  const Item free{.prompt = {'a', 'b', 'c'}, .most_tokens = 30};
  const Answer whole = asked(made, {free}).at(0);
  ASSERT_GT(whole.text.size(), 4u);
  const std::string mark = whole.text.substr(whole.text.size() / 2, 1);
  Item ended = free;
  ended.until = {"never to be seen", mark};
  const Answer cut = asked(made, {ended}).at(0);
  EXPECT_EQ(cut.text, whole.text.substr(0, whole.text.find(mark)));
  EXPECT_LT(cut.tokens.size(), whole.tokens.size());
}

TEST(Ask, StopsBetweenBatchesAndRefusesIdsThatTheModelDoesNotHave) {
  const LanguageModel made = model("mdn");
  const Given given(std::vector<Item>(50, {.prompt = some_tokens(20, 1), .labels = {{19, 1}}}));
  std::vector<std::int64_t> indices(50);
  for (std::size_t i = 0; i < 50; ++i) indices[i] = static_cast<std::int64_t>(i);
  int answered = 0;
  ask(made, given, indices,
      {.answered = [&](std::int64_t, const Item&, const Answer&) { ++answered; },
       .should_stop = [&] { return answered >= 10; }},
      100);
  EXPECT_GE(answered, 10);
  EXPECT_LT(answered, 20);

  const Error error = error_of([&] { asked(made, {{.prompt = {1, vocabulary}, .most_tokens = 1}}); });
  EXPECT_EQ(error.code(), Code::usage);
  EXPECT_THAT(error.what(), HasSubstr("the task has tokens that the model does not have; found id 300"));
}

}  // namespace
}  // namespace mdnlab
