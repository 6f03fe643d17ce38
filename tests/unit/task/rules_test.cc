// Each synthetic task's labels follow from its tokens, by a second way of working them out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <numeric>

#include "../error_of.h"
#include "making.h"

namespace mdnlab {
namespace {

using Row = std::vector<std::int64_t>;

// check(tokens, labels) of 300 training sequences.
template <class Check>
void for_each(const std::string& task, const std::vector<std::string>& words, std::int64_t length,
              Check check) {
  const Batch batch = make_task(task, words, {.seq_len = length, .seed = 5})->training(0, 300);
  for (std::int64_t row = 0; row < 300; ++row)
    check(row_of(batch.tokens_BT, row), row_of(batch.labels_BT, row));
}

TEST(OverwriteMqar, TheValueWrittenLastIsWanted) {
  constexpr std::size_t pairs = 5, updates = 7, context = 2 * (pairs + updates);
  std::map<std::int64_t, int> written_again;
  for_each("overwrite_mqar", {"vocabulary=64", "pairs=5", "updates=7"}, 60, [&](Row tokens, Row labels) {
    std::map<std::int64_t, std::int64_t> last;
    std::set<std::int64_t> values, asked;
    for (std::size_t i = 0; i < context; i += 2) {
      EXPECT_EQ(last.contains(tokens[i]), i >= 2 * pairs) << "all keys once, then some of them again";
      last[tokens[i]] = tokens[i + 1];
      EXPECT_TRUE(values.insert(tokens[i + 1]).second) << "values tell writes apart";
      if (i >= 2 * pairs) ++written_again[std::ranges::find(tokens, tokens[i]) - tokens.begin()];
    }
    for (std::size_t t = 0; t < labels.size(); ++t) {
      if (labels[t] == no_label) continue;
      EXPECT_GE(t, context);
      EXPECT_EQ(labels[t], last.at(tokens[t]));
      EXPECT_TRUE(asked.insert(tokens[t]).second);
    }
    EXPECT_THAT(asked, testing::SizeIs(pairs));
  });
  for (std::size_t pair = 0; pair < pairs; ++pair)  // 2100 updates, each key alike
    EXPECT_NEAR(written_again[static_cast<std::int64_t>(2 * pair)], 420, 4 * std::sqrt(420.0));
}

TEST(OverwriteMqar, WhatDoesNotFitIsRefused) {
  const auto message = [](const std::vector<std::string>& words) {
    return std::string(error_of([&] { make_task("overwrite_mqar", words, {.seq_len = 32}); }).what());
  };
  EXPECT_THAT(message({"pairs=5", "updates=7"}),
              testing::HasSubstr("5 pairs, 7 updates and their queries do not fit in 32 tokens; found 5, "
                                 "expected at most 4 pairs"));
  EXPECT_THAT(
      message({"pairs=4", "updates=6", "vocabulary=16"}),
      testing::HasSubstr("a vocabulary of 16 has 8 values; found 4, expected at most 8 pairs and updates"));
}

TEST(Palindrome, ReadsTheSameBackwards) {
  for (const std::int64_t length : {2, 20, 21}) {
    for_each("palindrome", {"symbols=9"}, length, [&](Row tokens, Row labels) {
      const auto half = static_cast<std::size_t>(length / 2);
      EXPECT_EQ(tokens[half], 9) << "the separator";
      Row read(tokens.begin(), tokens.begin() + length / 2), wanted;
      for (std::size_t t = 0; t < tokens.size(); ++t) {
        EXPECT_EQ(labels[t] != no_label, t >= half && t < 2 * half);
        if (labels[t] != no_label) wanted.push_back(labels[t]);
        if (t > half) {
          EXPECT_EQ(tokens[t], labels[t - 1]) << "what was wanted is read next";
        }
      }
      std::ranges::reverse(wanted);
      EXPECT_EQ(wanted, read);
    });
  }
}

TEST(Stack, APopTakesWhatWasPushedLast) {
  std::int64_t pushes = 0, pops = 0;
  for_each("stack", {"stacks=4", "elements=10"}, 62, [&](Row tokens, Row labels) {
    std::map<std::int64_t, Row> stacks;
    for (std::size_t t = 0; t < 60; t += 3) {
      const std::int64_t id = tokens[t + 1], element = tokens[t + 2];
      EXPECT_TRUE(id >= 10 && id < 14 && element < 10);
      EXPECT_EQ(labels[t], no_label);
      EXPECT_EQ(labels[t + 2], no_label);
      if (tokens[t] == 14) {
        ++pushes;
        stacks[id].push_back(element);
        EXPECT_EQ(labels[t + 1], no_label);
      } else {
        ++pops;
        ASSERT_EQ(tokens[t], 15);
        ASSERT_FALSE(stacks[id].empty());
        EXPECT_EQ(labels[t + 1], stacks[id].back());
        EXPECT_EQ(element, stacks[id].back());
        stacks[id].pop_back();
      }
    }
    EXPECT_EQ(tokens[57], 15) << "the last operation pops";
    EXPECT_EQ(tokens[60] + tokens[61], 0);
  });
  EXPECT_GT(pops, 2000);
  EXPECT_GT(pushes, pops);
}

TEST(Parity, CountsTheBits) {
  std::int64_t odd = 0;
  for_each("parity", {"least_length=11", "most_length=11"}, 1, [&](Row tokens, Row labels) {
    EXPECT_EQ(labels.back(), std::accumulate(tokens.begin(), tokens.end(), 0L) % 2);
    odd += labels.back();
  });
  EXPECT_NEAR(static_cast<double>(odd), 150, 4 * std::sqrt(75));
}

// By brackets first: products are replaced by their value, then sums are taken.
TEST(ModArithmetic, ProductsBindBeforeSums) {
  std::map<std::int64_t, int> operators;
  for_each("mod_arithmetic", {"modulus=7", "least_length=20", "most_length=20"}, 1,
           [&](Row tokens, Row labels) {
             EXPECT_EQ(tokens.back(), 7 + 3) << "=";
             Row values{tokens[0]}, signs;
             for (std::size_t t = 1; t + 1 < tokens.size(); t += 2) {
               ++operators[tokens[t]];
               if (tokens[t] == 7 + 2) {
                 values.back() *= tokens[t + 1];
               } else {
                 signs.push_back(tokens[t] == 7 ? 1 : -1);
                 values.push_back(tokens[t + 1]);
               }
             }
             std::int64_t sum = values[0];
             for (std::size_t i = 0; i < signs.size(); ++i) sum += signs[i] * values[i + 1];
             EXPECT_EQ(labels.back(), (sum % 7 + 7) % 7);
           });
  ASSERT_THAT(operators, testing::SizeIs(3));
  for (const auto& [token, count] : operators) EXPECT_NEAR(count, 900, 120) << token;
}

TEST(S5, EachLabelIsTheProductSoFar) {
  std::vector<std::array<int, 5>> all;
  std::array<int, 5> p{0, 1, 2, 3, 4};
  do all.push_back(p);
  while (std::ranges::next_permutation(p).found);
  for_each("s5", {}, 32, [&](Row tokens, Row labels) {
    std::array<int, 5> things{0, 1, 2, 3, 4};  // where each thing is
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      for (int& place : things)
        place = all[static_cast<std::size_t>(tokens[t])][static_cast<std::size_t>(place)];
      EXPECT_EQ(all[static_cast<std::size_t>(labels[t])], things);
    }
  });
}

}  // namespace
}  // namespace mdnlab
