// Retention: sequences are what their lags, writes and pairs say; the scores are bits, from none to all.
#include "statistics/retention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "../error_of.h"
#include "asking.h"
#include "making.h"
#include "task/retention_sequences.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr RetentionWords words{40, 8};

bool is_key(std::int64_t token) { return token < words.keys; }
bool is_value(std::int64_t token) { return token >= words.keys && token < words.first_filler(); }

std::unique_ptr<Task> task(std::vector<std::string> settings = {}, std::int64_t seq_len = 64,
                           std::uint64_t seed = 1) {
  settings.insert(settings.end(), {"keys=40", "values=8", "samples=25"});
  return make_task("retention", settings, {.seq_len = seq_len, .seed = seed});
}

// Writes of a prompt, in order: position of the key → (key, value).
std::map<std::int64_t, std::pair<std::int64_t, std::int64_t>> writes_of(
    const std::vector<std::int64_t>& tokens) {
  std::map<std::int64_t, std::pair<std::int64_t, std::int64_t>> writes;
  for (std::size_t t = 0; t + 1 < tokens.size(); t += 2) {
    if (is_key(tokens[t]) && is_value(tokens[t + 1]))
      writes[static_cast<std::int64_t>(t)] = {tokens[t], tokens[t + 1]};
  }
  return writes;
}

TEST(RetentionTraining, AQueryWantsTheValueWrittenLast) {
  std::map<std::int64_t, int> sequences_of;  // by number of writes
  std::int64_t overwritten = 0, lag_sum = 0, queries = 0;
  for (const std::int64_t length : {8, 33, 64}) {
    const Batch batch = task({"length=" + std::to_string(length)})->training(0, 400);
    ASSERT_EQ(batch.tokens_BT.size(1), length);
    for (std::int64_t row = 0; row < 400; ++row) {
      const auto tokens = row_of(batch.tokens_BT, row), labels = row_of(batch.labels_BT, row);
      const auto writes = writes_of(tokens);
      std::map<std::int64_t, std::pair<std::int64_t, std::int64_t>> last;  // of a key: position, value
      std::int64_t asked = 0;
      for (std::int64_t t = 0; t < length; ++t) {
        const auto at = static_cast<std::size_t>(t);
        if (writes.contains(t)) {
          overwritten += last.contains(tokens[at]);
          last[tokens[at]] = {t, tokens[at + 1]};
        } else if (is_key(tokens[at])) {
          ASSERT_TRUE(last.contains(tokens[at])) << "asked before it was written";
          EXPECT_EQ(labels[at], last[tokens[at]].second);
          lag_sum += t - last[tokens[at]].first;
          ++queries;
          ++asked;
        }
        EXPECT_EQ(labels[at] != no_label, is_key(tokens[at]) && !writes.contains(t));
      }
      EXPECT_EQ(asked, static_cast<std::int64_t>(writes.size())) << "each write is asked for once";
      EXPECT_LE(asked, length / 4);
      if (length == 64) ++sequences_of[asked];
    }
  }
  EXPECT_GT(overwritten, queries / 10);
  EXPECT_GT(lag_sum, 4 * queries);
  EXPECT_EQ(sequences_of.rbegin()->first, 16);
  // Log-uniform: of 1 … 16, one in ln 2 / ln 17 sequences has a single write.
  EXPECT_NEAR(sequences_of[1], 400 * std::log(2) / std::log(17), 4 * std::sqrt(400 * 0.25 * 0.75));
}

TEST(RetentionItem, TheQueryStandsAtItsLagBehindTheWritesInBetween) {
  Random random{3};
  std::set<std::int64_t> places;
  for (const auto& [lag, writes] : {std::pair{16, 0}, {16, 7}, {64, 8}, {2, 0}}) {
    for (int repeat = 0; repeat < 50; ++repeat) {
      const Item item = lag_item(words, random, lag, writes);
      ASSERT_THAT(item.prompt, SizeIs(16 + lag + 1));
      const auto found = writes_of(item.prompt);
      ASSERT_THAT(found, SizeIs(writes + 1));
      ASSERT_TRUE(found.contains(16)) << "behind the lead";
      EXPECT_EQ(found.begin()->first, 16);
      std::set<std::int64_t> keys;
      for (const auto& [position, write] : found) {
        keys.insert(write.first);
        if (lag == 64 && position > 16) places.insert(position);
      }
      EXPECT_THAT(keys, SizeIs(writes + 1)) << "other keys, all different";
      EXPECT_EQ(item.prompt.back(), found.at(16).first);
      ASSERT_THAT(item.labels, SizeIs(1));
      EXPECT_EQ(item.labels[0].position, 16 + lag);
      EXPECT_EQ(item.labels[0].token, found.at(16).second);
      EXPECT_EQ(item.among, std::pair(words.keys, words.keys + words.values));
    }
  }
  EXPECT_THAT(places, SizeIs(31)) << "anywhere in between";
}

TEST(RetentionItem, ValuesAreEquallyProbable) {
  Random random{4};
  std::map<std::int64_t, double> count;
  constexpr int n = 8000;
  for (int i = 0; i < n; ++i) ++count[lag_item(words, random, 2, 0).labels[0].token];
  double chi_square = 0;
  for (const auto& [value, times] : count) chi_square += (times - n / 8.0) * (times - n / 8.0) / (n / 8.0);
  EXPECT_THAT(count, SizeIs(8));
  EXPECT_LT(chi_square, 18.475) << "7 degrees of freedom, 1 % level";
}

TEST(RetentionItem, AnOverwrittenValueIsTheOtherLabel) {
  Random random{5};
  std::set<std::int64_t> distances;
  for (int repeat = 0; repeat < 200; ++repeat) {
    const Item item = overwrite_item(words, random, 32);
    const auto found = writes_of(item.prompt);
    ASSERT_THAT(found, SizeIs(2));
    EXPECT_EQ(found.at(0).first, found.at(16).first) << "one key, written twice";
    EXPECT_EQ(item.prompt.back(), found.at(0).first);
    ASSERT_THAT(item.labels, SizeIs(2));
    EXPECT_EQ(item.labels[0].position, 48);
    EXPECT_EQ(item.labels[1].position, 48);
    EXPECT_EQ(item.labels[0].token, found.at(16).second);
    EXPECT_EQ(item.labels[1].token, found.at(0).second);
    distances.insert((found.at(0).second - found.at(16).second + words.values) % words.values);
  }
  EXPECT_THAT(distances, ElementsAre(1, 2, 3, 4, 5, 6, 7)) << "every other value, never the same";
}

TEST(RetentionItem, PairsAreAllAskedOnce) {
  Random random{6};
  for (const std::int64_t pairs : {1, 2, 40}) {
    const Item item = pairs_item(words, random, pairs);
    EXPECT_THAT(item.prompt, SizeIs(4 * pairs - 1));
    const auto found = writes_of(item.prompt);
    ASSERT_THAT(found, SizeIs(pairs));
    ASSERT_THAT(item.labels, SizeIs(pairs));
    std::map<std::int64_t, std::int64_t> value_of;
    for (const auto& [position, write] : found) value_of.insert(write);
    EXPECT_THAT(value_of, SizeIs(pairs));
    for (std::int64_t i = 0; i < pairs; ++i) {
      const Label& label = item.labels[static_cast<std::size_t>(i)];
      EXPECT_EQ(label.position, 2 * pairs + 2 * i);
      const std::int64_t key = item.prompt[static_cast<std::size_t>(label.position)];
      EXPECT_EQ(label.token, value_of.at(key));
      value_of.erase(key);
    }
  }
}

// A model that gives each label of an item the log-probability log_p(label's number).
Answer answer_of(const Item& item, const std::function<double(std::size_t)>& log_p, bool highest) {
  Answer answer{.log_probabilities = {{}}, .highest = {std::vector<bool>(item.labels.size(), highest)}};
  for (std::size_t i = 0; i < item.labels.size(); ++i) answer.log_probabilities[0].push_back(log_p(i));
  return answer;
}

TEST(Retention, AsksEachLagWithTheWritesThatItHolds) {
  const auto asked = ask_all(*task()->items(Split::test), [](const Item& item) {
    return answer_of(
        item, [](std::size_t) { return 0.0; }, true);
  });
  std::vector<std::string> cells;
  for (const auto& [cell, values] : asked) {
    EXPECT_THAT(values, SizeIs(25));
    const auto settings = nlohmann::json::parse(cell.second);
    EXPECT_EQ(settings["values"], 8);
    cells.push_back(cell.first);
    for (const char* name : {"lag", "writes", "pairs"}) {
      if (settings.contains(name)) cells.back() += " " + settings[name].dump();
    }
  }
  EXPECT_THAT(cells,
              testing::UnorderedElementsAre("information_bits 16 0", "information_bits 32 0",
                                            "information_bits 32 8", "overwrite_bits 16", "overwrite_bits 32",
                                            "recall 1", "recall 2", "recall 4", "recall 8", "recall 16"));
}

TEST(Retention, AnOracleRecoversEveryBit) {
  std::vector<Information> curve;
  // All probability on what is wanted; a value that was overwritten has next to none.
  for (const auto& [cell, values] :
       ask_all(*task({"lags=16,32,64"})->items(Split::test), [](const Item& item) {
         const bool is_overwrite =
             item.labels.size() == 2 && item.labels[0].position == item.labels[1].position;
         return answer_of(
             item, [&](std::size_t i) { return is_overwrite && i == 1 ? -50.0 : 0.0; }, true);
       })) {
    const auto settings = nlohmann::json::parse(cell.second);
    for (const double value : values) {
      if (cell.first == "overwrite_bits") {
        EXPECT_GT(value, 70);
      } else {
        EXPECT_DOUBLE_EQ(value, cell.first == "recall" ? 1 : 3);
      }
    }
    if (cell.first == "information_bits" && settings["writes"] == 0)
      curve.push_back({settings["lag"], mean_of(values)});
  }
  std::ranges::sort(curve, {}, &Information::lag);
  EXPECT_EQ(furthest_lag(curve), 64);
  for (const Information& at : curve) EXPECT_DOUBLE_EQ(retained_share(at.bits, 8), 1);
  EXPECT_TRUE(half_life(curve)->is_censored);
}

TEST(Retention, AUniformModelRecoversNothing) {
  Random random{9};
  for (const auto& [cell, values] : ask_all(*task()->items(Split::test), [&](const Item& item) {
         Answer answer = answer_of(
             item, [](std::size_t) { return -std::log(8.0); }, false);
         for (std::size_t i = 0; i < item.labels.size(); ++i) answer.highest[0][i] = random.below(8) == 0;
         return answer;
       })) {
    if (cell.first == "recall") {
      const auto settings = nlohmann::json::parse(cell.second);
      EXPECT_EQ(settings["chance"], 0.125);
      EXPECT_NEAR(mean_of(values), 0.125,
                  4 * std::sqrt(0.125 * 0.875 / 25 / settings["pairs"].get<double>()));
    } else {
      for (const double value : values) EXPECT_NEAR(value, 0, 1e-12);
    }
  }
}

TEST(Retention, ItemsAreTheSameForEveryModelAndWhateverElseIsAsked) {
  const auto one = task({"lags=16,32", "writes=8,0"}, 64, 1), other = task({"lags=32", "writes=8"}, 128, 2);
  const auto items = one->items(Split::test), fewer = other->items(Split::test);
  std::set<std::vector<std::int64_t>> prompts;
  for (std::int64_t i = 0; i < items->count(); ++i) prompts.insert(items->item(i).prompt);
  for (std::int64_t i = 0; i < 25; ++i) EXPECT_TRUE(prompts.contains(fewer->item(i).prompt));
  EXPECT_NE(task({"seed=1", "lags=32", "writes=8"})->items(Split::test)->item(0).prompt,
            fewer->item(0).prompt);
  EXPECT_EQ(one->evaluation(Split::test), nullptr);
  EXPECT_EQ(one->items(Split::valid), nullptr);
  EXPECT_NE(one->evaluation(Split::valid), nullptr);
}

TEST(Retention, WhatCannotBeAskedIsRefused) {
  const auto message = [](const std::vector<std::string>& settings, std::int64_t length = 64) {
    return std::string(error_of([&] { task(settings, length); }).what());
  };
  EXPECT_THAT(message({"lags=16,33"}), HasSubstr("the lag 33 is odd"));
  EXPECT_THAT(message({"lags=128", "writes=40"}),
              HasSubstr("40 writes and a query need as many keys and one; found 40, expected at least 41"));
  EXPECT_THAT(message({"pairs=41"}), HasSubstr("41 pairs need as many keys"));
  EXPECT_THAT(message({"lags=[]", "pairs=[]"}), HasSubstr("nothing is asked"));
  EXPECT_THAT(message({}, 7), HasSubstr("7 tokens are too few to write and ask"));
}

}  // namespace
}  // namespace mdnlab
