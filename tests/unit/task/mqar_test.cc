// Multi-query associative recall: every sequence obeys its definition, whatever is drawn.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "../error_of.h"
#include "answering.h"
#include "base/text.h"
#include "making.h"

namespace mdnlab {
namespace {

using testing::Each;
using testing::HasSubstr;
using testing::SizeIs;

constexpr std::int64_t V = 64, D = 5, L = 40;

std::unique_ptr<Task> mqar(const std::vector<std::string>& more = {}, std::uint64_t seed = 3,
                           std::int64_t seq_len = L) {
  std::vector<std::string> words{"vocabulary=" + std::to_string(V), "pairs=" + std::to_string(D)};
  words.insert(words.end(), more.begin(), more.end());
  return make_task("mqar", words, {.seq_len = seq_len, .seed = seed});
}

TEST(Mqar, EverySequenceObeysTheDefinition) {
  const auto task = mqar();
  const Batch batch = task->training(0, 300);
  EXPECT_FALSE(batch.documents.exist());
  for (std::int64_t row = 0; row < 300; ++row) {
    const auto tokens = row_of(batch.tokens_BT, row), labels = row_of(batch.labels_BT, row);
    ASSERT_THAT(tokens, SizeIs(L));
    std::map<std::int64_t, std::int64_t> value_of;
    std::set<std::int64_t> values;
    for (std::int64_t i = 0; i < D; ++i) {
      const std::int64_t key = tokens[static_cast<std::size_t>(2 * i)],
                         value = tokens[static_cast<std::size_t>(2 * i + 1)];
      EXPECT_TRUE(key >= 1 && key <= V / 2 - 1) << key;
      EXPECT_TRUE(value >= V / 2 && value <= V - 1) << value;
      value_of[key] = value;
      values.insert(value);
    }
    EXPECT_THAT(value_of, SizeIs(D)) << "keys are drawn without replacement";
    EXPECT_THAT(values, SizeIs(D)) << "values too";

    std::set<std::int64_t> asked;
    for (std::int64_t t = 0; t < L; ++t) {
      const std::int64_t label = labels[static_cast<std::size_t>(t)],
                         token = tokens[static_cast<std::size_t>(t)];
      if (label == no_label) {
        if (t >= 2 * D) {
          EXPECT_TRUE(token >= V && token < V + 64) << "filler " << token;
        }
        continue;
      }
      EXPECT_GE(t, 2 * D);
      EXPECT_EQ(t % 2, 0) << "a query stands at the beginning of a slot";
      ASSERT_TRUE(value_of.contains(token)) << "the query is a key";
      EXPECT_EQ(label, value_of[token]);
      asked.insert(token);
    }
    EXPECT_THAT(asked, SizeIs(D)) << "every key is asked for once";
  }
}

TEST(Mqar, SequencesAreAFunctionOfTheSeedAndTheirIndex) {
  const auto task = mqar(), same = mqar(), other = mqar({}, 4);
  const Batch whole = task->training(0, 12);
  EXPECT_TRUE(at::equal(whole.tokens_BT.narrow(0, 7, 5), same->training(7, 5).tokens_BT))
      << "however they fall into batches";
  EXPECT_TRUE(at::equal(whole.labels_BT.narrow(0, 7, 5), same->training(7, 5).labels_BT));
  EXPECT_FALSE(at::equal(whole.tokens_BT, other->training(0, 12).tokens_BT));
  for (std::int64_t row = 1; row < 12; ++row)
    EXPECT_NE(row_of(whole.tokens_BT, row), row_of(whole.tokens_BT, 0));
}

TEST(Mqar, TrainingRepeatsAfterItsExamples) {
  const auto task = mqar({"train_examples=10"});
  EXPECT_TRUE(at::equal(task->training(0, 10).tokens_BT, task->training(20, 10).tokens_BT));
  EXPECT_TRUE(at::equal(task->training(8, 4).tokens_BT.narrow(0, 2, 2), task->training(0, 2).tokens_BT));
}

TEST(Mqar, TrainingValidationAndTestShareNoSequence) {
  const auto task = mqar({"test_examples=1000"});
  const Batch training = task->training(0, 3000);
  std::set<std::vector<std::int64_t>> seen;
  for (std::int64_t row = 0; row < 3000; ++row) seen.insert(row_of(training.tokens_BT, row));
  EXPECT_THAT(seen, SizeIs(3000));
  for (const Split split : {Split::valid, Split::test}) {
    for (const auto& tokens : sequences_of(*task, split))
      EXPECT_TRUE(seen.insert(tokens).second) << split_name(split);
  }
  EXPECT_THAT(seen, SizeIs(5000));
}

TEST(Mqar, AnEvaluationIsTheSameHoweverItIsCut) {
  const auto task = mqar({"test_examples=17"});
  const auto whole = sequences_of(*task, Split::valid);
  EXPECT_THAT(whole, SizeIs(17));
  std::vector<std::vector<std::int64_t>> single;
  const auto evaluation = task->evaluation(Split::valid);
  while (const std::optional<Batch> batch = evaluation->next(1)) {
    ASSERT_EQ(batch->tokens_BT.size(0), 1) << "one row at least, no more than asked for";
    single.push_back(row_of(batch->tokens_BT, 0));
  }
  EXPECT_EQ(single, whole);
}

// The first slot drawn follows its law exactly; later ones are without replacement.
TEST(Mqar, TheFirstQueryFollowsThePowerLaw) {
  for (const double power : {0.01, 1.0}) {
    const auto task = mqar({"power=" + std::to_string(power)});
    constexpr std::int64_t n = 20'000, space = (L - 2 * D) / 2;
    const Batch batch = task->training(0, n);
    std::vector<double> share(space, 0);
    for (std::int64_t row = 0; row < n; ++row) {
      const auto tokens = row_of(batch.tokens_BT, row);
      for (std::int64_t slot = 0; slot < space; ++slot) {
        if (tokens[static_cast<std::size_t>(2 * D + 2 * slot)] == tokens[0])
          share[static_cast<std::size_t>(slot)] += 1.0 / n;
      }
    }
    double sum = 0;
    for (std::int64_t x = 1; x <= space; ++x) sum += std::pow(static_cast<double>(x), power - 1);
    for (std::int64_t x = 1; x <= space; ++x) {
      const double expected = std::pow(static_cast<double>(x), power - 1) / sum;
      EXPECT_NEAR(share[static_cast<std::size_t>(x - 1)], expected, 4 * std::sqrt(expected / n))
          << "slot " << x << ", power " << power;
    }
  }
}

TEST(Mqar, TheFirstSlotDrawnPassesChiSquareOver100000Examples) {
  const auto task = make_task("mqar", {"vocabulary=64", "pairs=4"}, {.seq_len = 64, .seed = 3});
  constexpr std::int64_t n = 100'000, space = (64 - 2 * 4) / 2;
  std::vector<double> found(space, 0);
  for (std::int64_t first = 0; first < n; first += 10'000) {
    const Batch batch = task->training(first, 10'000);
    for (std::int64_t row = 0; row < 10'000; ++row) {
      const auto tokens = row_of(batch.tokens_BT, row);
      for (std::size_t slot = 0; slot < space; ++slot) found[slot] += tokens[8 + 2 * slot] == tokens[0];
    }
  }
  double weights = 0, chi_square = 0;
  for (std::int64_t x = 1; x <= space; ++x) weights += 0.01 * std::pow(static_cast<double>(x), 0.01 - 1);
  for (std::int64_t x = 1; x <= space; ++x) {
    const double expected = n * 0.01 * std::pow(static_cast<double>(x), 0.01 - 1) / weights;
    const double off = found[static_cast<std::size_t>(x - 1)] - expected;
    chi_square += off * off / expected;
  }
  EXPECT_LT(chi_square, 46.963) << "27 degrees of freedom, 1 % level";
}

// Fillers that are keys of their own sequence: (L − 3D)·D/V are expected of `random`, none of the others.
TEST(Mqar, RandomFillersCollideWithLiveKeysAsOftenAsExpected) {
  const auto collisions = [](const std::string& filler) {
    const auto task =
        make_task("mqar", {"vocabulary=8192", "pairs=256", "filler=" + filler}, {.seq_len = 1024, .seed = 3});
    constexpr std::int64_t rows = 400;
    const Batch batch = task->training(0, rows);
    double sum = 0;
    for (std::int64_t row = 0; row < rows; ++row) {
      const auto tokens = row_of(batch.tokens_BT, row), labels = row_of(batch.labels_BT, row);
      std::set<std::int64_t> keys;
      for (std::size_t i = 0; i < 512; i += 2) keys.insert(tokens[i]);
      for (std::size_t t = 512; t < 1024; ++t) sum += labels[t] == no_label && keys.contains(tokens[t]);
    }
    return sum / rows;
  };
  EXPECT_NEAR(collisions("random"), 8.0, 4 * std::sqrt(8.0 / 400));
  EXPECT_EQ(collisions("zero"), 0);
  EXPECT_EQ(collisions("reserved"), 0);
}

TEST(Mqar, FillersAreOfTheirKind) {
  const auto fillers = [](const std::string& kind) {
    const auto task = mqar({"filler=" + kind});
    const Batch batch = task->training(0, 200);
    std::set<std::int64_t> seen;
    for (std::int64_t row = 0; row < 200; ++row) {
      const auto tokens = row_of(batch.tokens_BT, row), labels = row_of(batch.labels_BT, row);
      for (std::size_t t = 2 * D; t < L; ++t) {
        if (labels[t] == no_label) seen.insert(tokens[t]);
      }
    }
    return seen;
  };
  EXPECT_THAT(fillers("zero"), testing::ElementsAre(0));
  const auto reserved = fillers("reserved"), random = fillers("random");
  EXPECT_THAT(reserved, SizeIs(64));
  EXPECT_THAT(reserved, Each(testing::AllOf(testing::Ge(V), testing::Lt(V + 64))));
  EXPECT_THAT(random, SizeIs(V));
  EXPECT_THAT(random, Each(testing::AllOf(testing::Ge(0), testing::Lt(V))));
}

TEST(Mqar, TheVocabularyHoldsTheFillers) {
  EXPECT_EQ(mqar()->vocab_size(), V + 64);
  EXPECT_EQ(mqar({"filler=zero"})->vocab_size(), V);
  EXPECT_EQ(mqar({"filler=random"})->vocab_size(), V);
  EXPECT_EQ(mqar()->data_digest(), "");
}

TEST(Mqar, FillsItsSlotsToTheLast) {
  const auto task = mqar({}, 3, 4 * D);  // D slots for D queries
  const Batch batch = task->training(0, 50);
  for (std::int64_t row = 0; row < 50; ++row) {
    const auto labels = row_of(batch.labels_BT, row);
    for (std::size_t t = 2 * D; t < 4 * D; ++t) EXPECT_EQ(labels[t] != no_label, t % 2 == 0);
  }
}

TEST(Mqar, ItsOwnLengthWinsOverTheTrainingLength) {
  EXPECT_EQ(mqar({"length=60"})->training(0, 1).tokens_BT.size(1), 60);
}

TEST(Mqar, WhatDoesNotFitIsRefused) {
  const Error long_pairs = error_of([] { mqar({}, 3, 4 * D - 1); });
  EXPECT_EQ(long_pairs.code(), Code::usage);
  EXPECT_STREQ(
      long_pairs.what(),
      "--set pairs=5: 5 pairs and their queries do not fit in 19 tokens; found 5, expected at most 4");
  const Error keys = error_of([] { make_task("mqar", {"vocabulary=8", "pairs=4"}, {.seq_len = 64}); });
  EXPECT_STREQ(keys.what(), "--set pairs=4: a vocabulary of 8 has 3 keys; found 4, expected at most 3 pairs");
}

// Pairs of a sequence, read back from its labels.
std::int64_t labels_of(const Batch& batch, std::int64_t row) {
  return std::ranges::count_if(row_of(batch.labels_BT, row), [](std::int64_t l) { return l != no_label; });
}

TEST(Mqar, SeveralSizesAreTrainedTogetherEachItsShare) {
  const auto task = mqar({"sizes=16x2x30,40x5x50,24x3x20"});
  const Batch epoch = task->training(0, 100);
  EXPECT_EQ(epoch.tokens_BT.size(1), 40) << "as wide as the longest";
  std::map<std::int64_t, std::int64_t> count;
  std::set<std::vector<std::int64_t>> seen;
  for (std::int64_t row = 0; row < 100; ++row) {
    const std::int64_t pairs = labels_of(epoch, row);
    ++count[pairs];
    seen.insert(row_of(epoch.tokens_BT, row));
    const auto tokens = row_of(epoch.tokens_BT, row), labels = row_of(epoch.labels_BT, row);
    for (std::size_t t = static_cast<std::size_t>(8 * pairs); t < 40; ++t) {
      EXPECT_EQ(tokens[t], 0) << "after its own length";
      EXPECT_EQ(labels[t], no_label);
    }
  }
  EXPECT_THAT(count, testing::ElementsAre(testing::Pair(2, 30), testing::Pair(3, 20), testing::Pair(5, 50)));
  EXPECT_THAT(seen, SizeIs(100));
  for (std::int64_t first = 0; first < 100; first += 20) {  // every batch has its share of each size
    std::map<std::int64_t, std::int64_t> share;
    for (std::int64_t row = first; row < first + 20; ++row) ++share[labels_of(epoch, row)];
    EXPECT_NEAR(static_cast<double>(share[2]), 6, 2);
    EXPECT_NEAR(static_cast<double>(share[5]), 10, 2);
  }
  EXPECT_TRUE(at::equal(task->training(100, 7).tokens_BT, epoch.tokens_BT.narrow(0, 0, 7))) << "then again";
}

TEST(Mqar, EachSizeIsAskedForItself) {
  const auto task = mqar({"sizes=16x2,40x5", "test_examples=30"});
  const auto items = task->items(Split::test);
  ASSERT_EQ(items->count(), 60);
  for (std::int64_t i = 0; i < 60; ++i) {
    const Item item = items->item(i);
    EXPECT_THAT(item.prompt, SizeIs(i < 30 ? 16 : 40));
    EXPECT_THAT(item.labels, SizeIs(i < 30 ? 2 : 5));
  }
  const std::vector<Score> scores = scores_of(*task, [](std::int64_t) { return Guess{}; });
  ASSERT_THAT(scores, SizeIs(4));
  EXPECT_EQ(scores[0].length, 16);
  EXPECT_EQ(nlohmann::json::parse(scores[0].settings_json)["pairs"], 2);
  EXPECT_EQ(scores[1].length, 40);
  EXPECT_EQ(nlohmann::json::parse(scores[1].settings_json)["pairs"], 5);
}

TEST(Mqar, SizesAreTwoOrThreeNumbers) {
  for (const std::string word : {"64", "64x", "64x4x", "64x0", "64x4x9x9", "ax4"}) {
    const Error error = error_of([&] { mqar({"sizes=" + word}); });
    EXPECT_EQ(error.code(), Code::usage);
    EXPECT_THAT(error.what(), HasSubstr("'" + word + "' is no size; found"));
    EXPECT_THAT(error.what(), HasSubstr("expected LxD or LxDxEXAMPLES"));
  }
  EXPECT_THAT(error_of([] { mqar({"sizes=64x4,16x5"}); }).what(),
              HasSubstr("5 pairs and their queries do not fit in 16 tokens"));
}

TEST(Mqar, ASeparatorStandsBetweenPairsAndQueries) {
  const auto task = mqar({"separator=true"});
  EXPECT_EQ(task->vocab_size(), V + 64 + 1);
  const Batch batch = task->training(0, 50);
  for (std::int64_t row = 0; row < 50; ++row) {
    const auto tokens = row_of(batch.tokens_BT, row), labels = row_of(batch.labels_BT, row);
    EXPECT_EQ(std::ranges::count(tokens, V + 64), 1);
    EXPECT_EQ(tokens[2 * D], V + 64);
    EXPECT_EQ(labels_of(batch, row), D);
    for (std::size_t t = 0; t < L; ++t) {
      if (labels[t] != no_label) {
        EXPECT_TRUE(t > 2 * D && t % 2 == 1);
      }
    }
  }
}

TEST(Mqar, AccuracyIsTheMeanOfEachSequencesOwn) {
  const auto task = mqar({"test_examples=4"});
  const auto evaluation = task->evaluation(Split::valid);
  double share = 0;
  for (std::int64_t done = 0;
       const std::optional<Batch> batch = evaluation->next(3 * L);) {  // 3 sequences, then 1
    const std::int64_t rows = batch->tokens_BT.size(0);
    at::Tensor correct = at::full({rows, D}, false, at::kBool);
    for (std::int64_t row = 0; row < rows; ++row, ++done) {
      correct.narrow(0, row, 1).narrow(1, 0, done + 1).fill_(true);  // 1, 2, 3, 4 of 5
      share += static_cast<double>(done + 1) / D / 4;
    }
    evaluation->add(*batch, {at::full({rows * D}, 0.5, at::kDouble), correct.flatten()});
  }
  const std::vector<Score> scores = evaluation->scores();
  ASSERT_THAT(scores, SizeIs(2));
  EXPECT_EQ(scores[0].task, "mqar");
  EXPECT_EQ(scores[0].metric, "accuracy");
  EXPECT_EQ(scores[0].length, L);
  EXPECT_EQ(scores[0].n, 4);
  EXPECT_DOUBLE_EQ(scores[0].value, share);
  EXPECT_DOUBLE_EQ(scores[0].value, 0.5);
  EXPECT_NEAR(*scores[0].stderr_value, std::sqrt((0.09 + 0.01 + 0.01 + 0.09) / 3 / 4), 1e-12);
  const auto settings = nlohmann::json::parse(scores[0].settings_json);
  EXPECT_EQ(settings["pairs"], D);
  EXPECT_EQ(settings["vocabulary"], V);
  EXPECT_EQ(settings["filler"], "reserved");
  EXPECT_DOUBLE_EQ(settings["chance"], 1.0 / (V / 2));
  EXPECT_EQ(scores[1].metric, "loss");
  EXPECT_EQ(scores[1].n, 4 * D);
  EXPECT_DOUBLE_EQ(scores[1].value, 0.5);
  EXPECT_FALSE(scores[1].stderr_value);

  // Of the test likewise, and its sequences stand behind it.
  std::int64_t label = 0;
  const std::vector<Score> test = scores_of(*task, [&](std::int64_t) {
    const std::int64_t row = label / D, place = label % D;
    ++label;
    return Guess{0.5, place <= row};
  });
  ASSERT_THAT(test, SizeIs(2));
  EXPECT_DOUBLE_EQ(test[0].value, 0.5);
  EXPECT_NEAR(*test[0].stderr_value, *scores[0].stderr_value, 1e-12);
  EXPECT_EQ(nlohmann::json::parse(test[0].settings_json), settings);
  ASSERT_THAT(test[0].items, SizeIs(4));
  EXPECT_EQ(test[0].items[1].prediction, "2 of 5 right");
  EXPECT_EQ(split(test[0].items[1].answer, ' ').size(), static_cast<std::size_t>(D));
  EXPECT_EQ(test[0].items[1].prompt_digest.size(), 64u);
  EXPECT_EQ(test[1].n, 4 * D);
  EXPECT_DOUBLE_EQ(test[1].value, 0.5);
}

}  // namespace
}  // namespace mdnlab
