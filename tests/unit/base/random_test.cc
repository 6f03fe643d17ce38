#include "base/random.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

namespace mdnlab {
namespace {

using testing::ElementsAre;

// Values that must never change: runs are reproduced from their seeds.
TEST(Random, GoldenValues) {
  Random random{1, 2, 3};
  EXPECT_EQ(random.next(), 16362493885974328174u);
  EXPECT_EQ(random.below(1000), 117u);
  EXPECT_EQ(random.uniform(), 0x1.e3ae249aa30c4p-1);
  EXPECT_EQ(random.uniform(-2, 2), 0x1.2c2cdfc6ba618p+0);
  EXPECT_THAT(random.sample(10, 5), ElementsAre(8, 7, 1, 9, 5));
}

TEST(Random, OneSeedGivesOneStream) {
  Random a{42}, b{42};
  for (int i = 0; i < 100; ++i) ASSERT_EQ(a.next(), b.next());
}

TEST(Random, OtherWordsGiveOtherStreams) {
  std::set<std::uint64_t> first;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    first.insert(Random{seed}.next());
    first.insert(Random{seed, 0}.next());
    first.insert(Random{0, seed + 1}.next());
    first.insert(Random{(seed + 1) << 32}.next());  // the upper half counts
  }
  EXPECT_EQ(first.size(), 200u);
}

TEST(Random, BelowStaysBelow) {
  Random random{7};
  for (const std::uint64_t bound : {1ull, 2ull, 3ull, 1000ull, (1ull << 63) + 1, ~0ull}) {
    for (int i = 0; i < 100; ++i) ASSERT_LT(random.below(bound), bound);
  }
}

// With 3·2^62 as the bound a plain remainder would give its lowest third twice as often: 1/2, not 1/3.
TEST(Random, BelowIsUnbiased) {
  Random random{11};
  const std::uint64_t third = 1ull << 62;
  int low = 0;
  const int draws = 30000;
  for (int i = 0; i < draws; ++i) low += random.below(3 * third) < third;
  EXPECT_NEAR(low / static_cast<double>(draws), 1.0 / 3, 0.015);
}

TEST(Random, UniformFillsItsInterval) {
  Random random{13};
  double sum = 0, least = 1, most = 0;
  for (int i = 0; i < 20000; ++i) {
    const double value = random.uniform();
    ASSERT_GE(value, 0);
    ASSERT_LT(value, 1);
    sum += value;
    least = std::min(least, value);
    most = std::max(most, value);
  }
  EXPECT_NEAR(sum / 20000, 0.5, 0.01);
  EXPECT_LT(least, 0.001);
  EXPECT_GT(most, 0.999);
}

TEST(Random, SampleIsDistinctAndInRange) {
  Random random{17};
  for (const std::int64_t count : {0, 1, 5, 99, 100}) {
    const std::vector<std::int64_t> values = random.sample(100, count);
    const std::set<std::int64_t> distinct(values.begin(), values.end());
    EXPECT_EQ(values.size(), static_cast<std::size_t>(count));
    EXPECT_EQ(distinct.size(), values.size());
    if (!distinct.empty()) {
      EXPECT_GE(*distinct.begin(), 0);
      EXPECT_LT(*distinct.rbegin(), 100);
    }
  }
}

TEST(Random, SampleHasEveryOrderEquallyOften) {
  Random random{19};
  std::map<std::vector<std::int64_t>, int> orders;
  for (int i = 0; i < 12000; ++i) ++orders[random.sample(4, 2)];
  EXPECT_EQ(orders.size(), 12u);
  for (const auto& [order, times] : orders) EXPECT_NEAR(times, 1000, 150);
}

TEST(Random, SampleOfAHugeRangeIsCheap) {
  EXPECT_EQ(Random{23}.sample(std::int64_t{1} << 62, 1000).size(), 1000u);
}

TEST(Random, RefusesTheImpossible) {
  Random random{29};
  EXPECT_THROW(random.below(0), std::logic_error);
  EXPECT_THROW(random.sample(3, 4), std::logic_error);
  EXPECT_THROW(random.sample(3, -1), std::logic_error);
}

}  // namespace
}  // namespace mdnlab
