// What holds of every synthetic task, whatever its sequences are.
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "../error_of.h"
#include "answering.h"
#include "making.h"

namespace mdnlab {
namespace {

using testing::Each;
using testing::Ge;
using testing::HasSubstr;
using testing::Lt;
using testing::SizeIs;

struct Case {
  std::string task;
  std::vector<std::string> settings;
};

void PrintTo(const Case& which, std::ostream* out) { *out << which.task; }

class Synthetic : public testing::TestWithParam<Case> {
 protected:
  static std::unique_ptr<Task> make(const std::vector<std::string>& more = {}, std::uint64_t seed = 3) {
    std::vector<std::string> words = GetParam().settings;
    words.insert(words.end(), more.begin(), more.end());
    return make_task(GetParam().task, words, {.seq_len = 48, .seed = seed});
  }
};

TEST_P(Synthetic, IsAFunctionOfTheSeedAndTheIndex) {
  const auto task = make();
  const Batch whole = task->training(0, 30);
  EXPECT_TRUE(at::equal(make()->training(17, 9).tokens_BT, whole.tokens_BT.narrow(0, 17, 9)));
  EXPECT_TRUE(at::equal(make()->training(17, 9).labels_BT, whole.labels_BT.narrow(0, 17, 9)));
  EXPECT_FALSE(at::equal(make({}, 4)->training(0, 30).tokens_BT, whole.tokens_BT));
}

TEST_P(Synthetic, TokensAndLabelsAreOfTheVocabulary) {
  const auto task = make();
  const Batch batch = task->training(0, 200);
  for (std::int64_t row = 0; row < 200; ++row) {
    EXPECT_THAT(row_of(batch.tokens_BT, row), Each(testing::AllOf(Ge(0), Lt(task->vocab_size()))));
    const auto labels = labels_of({batch.tokens_BT, batch.labels_BT.narrow(0, row, 1), {}});
    EXPECT_THAT(labels, SizeIs(Ge(1u))) << "a sequence asks";
    EXPECT_THAT(labels, Each(testing::AllOf(Ge(0), Lt(task->vocab_size()))));
  }
}

TEST_P(Synthetic, NoTestOrValidationSequenceIsTrainedOn) {
  const auto task = make();
  std::set<std::vector<std::int64_t>> trained, repeated;
  const Batch batch = task->training(0, 2000);
  for (std::int64_t row = 0; row < 2000; ++row) trained.insert(row_of(batch.tokens_BT, row));
  for (const Split split : {Split::valid, Split::test}) {
    for (std::vector<std::int64_t> tokens : sequences_of(*task, split)) {
      tokens.resize(static_cast<std::size_t>(batch.tokens_BT.size(1)));
      if (trained.contains(tokens)) repeated.insert(tokens);
    }
  }
  EXPECT_THAT(repeated, testing::IsEmpty());
}

TEST_P(Synthetic, AnOracleScores100) {
  for (const Split split : {Split::valid, Split::test}) {
    for (const Score& score : scores_of(
             *make(), [](std::int64_t) { return Guess{}; }, split)) {
      EXPECT_EQ(score.value, score.metric == "accuracy" ? 1 : 0);
    }
  }
}

TEST_P(Synthetic, GuessingScoresChance) {
  const auto task = make();
  const std::set<std::int64_t> set = answers_of(*task);
  const std::vector<std::int64_t> answers(set.begin(), set.end());
  Random random{7};
  const auto scores = scores_of(*task, [&](std::int64_t label) {
    return Guess{std::log(static_cast<double>(answers.size())),
                 answers[random.below(answers.size())] == label};
  });
  for (const Score& score : scores) {
    const double chance = nlohmann::json::parse(score.settings_json)["chance"].get<double>();
    if (score.metric == "accuracy") {
      EXPECT_NEAR(score.value, chance, 4 * std::sqrt(chance / static_cast<double>(score.n)));
      EXPECT_EQ(score.n, 1000);
    } else {
      EXPECT_NEAR(score.value, -std::log(chance), 1e-9) << "as many answers as chance says";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Tasks, Synthetic,
    testing::Values(Case{"mqar", {"vocabulary=64"}}, Case{"mqar", {"vocabulary=64", "sizes=16x4,48x8"}},
                    Case{"overwrite_mqar", {"vocabulary=64", "pairs=6", "updates=4"}},
                    Case{"palindrome", {"symbols=32"}}, Case{"stack", {"elements=32", "stacks=8"}},
                    Case{"parity", {"least_length=24"}}, Case{"mod_arithmetic", {"least_length=24"}},
                    Case{"s5", {"lengths=48,96"}}),
    [](const auto& param) {
      return param.param.task + (param.param.settings.back().starts_with("sizes") ? "_of_sizes" : "");
    });

TEST(Lengths, AreTrainedInARangeAndAskedEachForItself) {
  const auto task = make_task(
      "parity", {"least_length=3", "most_length=6", "lengths=8,40", "train_examples=400", "test_examples=10"},
      {});
  const Batch batch = task->training(0, 400);
  EXPECT_EQ(batch.tokens_BT.size(1), 6);
  std::map<std::size_t, int> ends;
  for (std::int64_t row = 0; row < 400; ++row) {
    const auto labels = row_of(batch.labels_BT, row);
    for (std::size_t t = 0; t < 6; ++t) ends[t + 1] += labels[t] != no_label;
  }
  EXPECT_THAT(ends,
              testing::ElementsAre(testing::Pair(1, 0), testing::Pair(2, 0), testing::Pair(3, 100),
                                   testing::Pair(4, 100), testing::Pair(5, 100), testing::Pair(6, 100)));
  const auto scores = scores_of(*task, [](std::int64_t) { return Guess{}; });
  ASSERT_THAT(scores, SizeIs(4));
  EXPECT_EQ(scores[0].length, 8);
  EXPECT_EQ(scores[1].length, 40);
  EXPECT_EQ(scores[1].n, 10);
}

TEST(Lengths, ThatCannotBeAreRefused) {
  const auto message = [](const std::string& task, const std::vector<std::string>& words) {
    return std::string(error_of([&] { make_task(task, words, {.seq_len = 5}); }).what());
  };
  EXPECT_THAT(message("stack", {}), HasSubstr("a sequence of 5 tokens is too short"));
  EXPECT_THAT(message("mod_arithmetic", {"lengths=40,41"}),
              HasSubstr("no sequence has 41 tokens; found [40,41], expected a multiple of 2"));
  EXPECT_THAT(message("parity", {"least_length=9", "most_length=8"}),
              HasSubstr("no training sequence has this length or less; found 8, expected at least 9"));
  EXPECT_THAT(message("s5", {"lengths=[]"}), HasSubstr("lengths is empty"));
}

}  // namespace
}  // namespace mdnlab
