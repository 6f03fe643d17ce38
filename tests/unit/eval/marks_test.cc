#include "eval/marks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "../error_of.h"

namespace mdnlab {
namespace {

MarkedItem item(std::int64_t index, std::vector<ItemValue> values, std::optional<std::int64_t> length = {}) {
  return {index, "digest" + std::to_string(index), length, {}, {"wanted", "given", std::move(values)}};
}

TEST(Marks, PlainMeansKeepItemsAndHaveAStandardError) {
  const std::vector<MarkedItem> items{
      item(0, {{.metric = "acc", .value = 1}}), item(1, {{.metric = "acc", .value = 0}}),
      item(2, {{.metric = "acc", .value = 1}}), item(3, {{.metric = "acc", .value = 1}})};
  const std::vector<Score> scores = scores_of("choice", R"({"set":"piqa"})", items);
  ASSERT_EQ(scores.size(), 1u);
  EXPECT_EQ(scores[0].task, "choice");
  EXPECT_EQ(scores[0].value, 0.75);
  EXPECT_EQ(scores[0].n, 4);
  EXPECT_NEAR(*scores[0].stderr_value, 0.5 / 2, 1e-12);  // sample deviation 0.5
  ASSERT_EQ(scores[0].items.size(), 4u);
  EXPECT_EQ(scores[0].items[1].item, 1);
  EXPECT_EQ(scores[0].items[1].value, 0);
  EXPECT_EQ(scores[0].items[1].prompt_digest, "digest1");
  EXPECT_EQ(scores[0].items[1].answer, "wanted");
  EXPECT_EQ(scores[0].items[1].prediction, "given");
  // How many of four drawn are right is binomial of ¾: at most 1 with 5.1 %, at most 0 with 0.4 %.
  EXPECT_EQ(scores[0].low, 0.25);
  EXPECT_EQ(scores[0].high, 1);
}

TEST(Marks, WhereItemsSayNothingOfOthersThereIsNoInterval) {
  const auto one = scores_of("choice", "{}", std::vector{item(0, {{.metric = "acc", .value = 1}})});
  EXPECT_FALSE(one[0].low || one[0].high || one[0].stderr_value);
  const auto infinite = scores_of("retention", "{}",
                                  std::vector{item(0, {{.metric = "information_bits", .value = -INFINITY}}),
                                              item(1, {{.metric = "information_bits", .value = 1}})});
  EXPECT_FALSE(infinite[0].low || infinite[0].high);
}

TEST(Marks, OfAShareThatAllAgreeOnTheIntervalIsExact) {
  std::vector<MarkedItem> items;
  for (int i = 0; i < 20; ++i)
    items.push_back(item(i, {{.metric = "accuracy", .value = 1}, {.metric = "influence"}}));
  const std::vector<Score> scores = scores_of("needle", "{}", items);
  EXPECT_NEAR(*scores[0].low, 0.83157, 1e-5);  // R's binom.test(20, 20)
  EXPECT_EQ(scores[0].high, 1);
  EXPECT_EQ(scores[1].metric, "influence");
  EXPECT_EQ(scores[1].low, 0) << "no share: 0 is what it is";
  EXPECT_EQ(scores[1].high, 0);
}

TEST(Marks, AnIntervalIsFoundAgainFromTheItems) {
  std::vector<MarkedItem> items;
  for (int i = 0; i < 50; ++i)
    items.push_back(item(i, {{.metric = "accuracy", .value = i % 3 == 0 ? 1.0 : 0.25}}));
  const Score score = scores_of("mqar", "{}", items)[0];
  Score stored = score;
  stored.low = stored.high = std::nullopt;
  add_interval(stored);
  EXPECT_EQ(stored.low, score.low);
  EXPECT_EQ(stored.high, score.high);
  EXPECT_LT(*score.low, score.value);
  EXPECT_GT(*score.high, score.value);
}

TEST(Marks, AScoreMayHaveAPredictionOfItsOwn) {
  MarkedItem one = item(0, {{.metric = "acc", .value = 1}, {.metric = "acc_norm", .prediction = "other"}});
  one.mark.log_probabilities = {-1.5, -INFINITY};
  const std::vector<MarkedItem> items{read_marked(0, marked_json(one))};
  const std::vector<Score> scores = scores_of("choice", "{}", items);
  ASSERT_EQ(scores.size(), 2u);
  EXPECT_EQ(scores[0].items[0].prediction, "given");
  EXPECT_EQ(scores[1].items[0].prediction, "other");
  EXPECT_EQ(scores[1].items[0].log_probabilities, one.mark.log_probabilities);
}

TEST(Marks, PerplexitiesAreExponentialsOfWeightedMeans) {
  const auto nll = [](double value, double weight) {
    return ItemValue{.metric = "perplexity", .value = value, .weight = weight, .mean = Mean::exponential};
  };
  const std::vector<MarkedItem> items{item(0, {nll(1, 10)}), item(1, {nll(2, 30)})};
  const std::vector<Score> scores = scores_of("text", "{}", items);
  ASSERT_EQ(scores.size(), 1u);
  EXPECT_NEAR(scores[0].value, std::exp(1.75), 1e-12);
  EXPECT_EQ(scores[0].n, 40);
  EXPECT_FALSE(scores[0].stderr_value);
  EXPECT_TRUE(scores[0].items.empty());
  EXPECT_NEAR(*scores[0].low, std::exp(1), 1e-12) << "the first item twice, a quarter of the draws";
  EXPECT_NEAR(*scores[0].high, std::exp(2), 1e-12);
}

TEST(Marks, LengthsAndCellsAreScoresOfTheirOwnAndOneItemCountsOnce) {
  const auto bits = [](double value, const char* cell) {
    return ItemValue{.metric = "bits", .value = value, .cell = cell};
  };
  const std::vector<MarkedItem> items{
      item(0, {bits(1, R"({"lag":2})"), bits(3, R"({"lag":2})"), bits(7, R"({"lag":16})")}, 64),
      item(1, {bits(4, R"({"lag":2})")}, 64), item(2, {bits(5, R"({"lag":2})")}, 128)};
  const std::vector<Score> scores = scores_of("retention", R"({"seed":1})", items);
  ASSERT_EQ(scores.size(), 3u);
  EXPECT_EQ(scores[0].settings_json, R"({"lag":2,"seed":1})");
  EXPECT_EQ(*scores[0].length, 64);
  EXPECT_EQ(scores[0].n, 2);
  EXPECT_EQ(scores[0].value, 3);  // of 2 and 4
  EXPECT_EQ(scores[1].settings_json, R"({"lag":16,"seed":1})") << "by number";
  EXPECT_EQ(scores[1].value, 7);
  EXPECT_EQ(*scores[2].length, 128);
}

TEST(Marks, GoThroughTheStoreUnchanged) {
  MarkedItem given = item(7,
                          {{.metric = "perplexity",
                            .value = 0.1 + 0.2,
                            .weight = 3,
                            .mean = Mean::exponential,
                            .cell = R"({"a":1})"},
                           {.metric = "bits", .value = -INFINITY}},
                          512);
  given.depth = 0.25;
  const MarkedItem read = read_marked(7, marked_json(given));
  EXPECT_EQ(read.index, 7);
  EXPECT_EQ(marked_json(read), marked_json(given));
  EXPECT_EQ(read.mark.values[0].value, 0.1 + 0.2);
  EXPECT_EQ(read.mark.values[0].mean, Mean::exponential);
  EXPECT_EQ(read.mark.values[1].value, -INFINITY);
  EXPECT_EQ(*read.length, 512);
  EXPECT_EQ(*read.depth, 0.25);
  EXPECT_EQ(error_of([] { read_marked(0, "{}"); }).code(), Code::failed);
}

}  // namespace
}  // namespace mdnlab
