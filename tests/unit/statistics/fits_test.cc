// Holm's correction, the falling fit, and what is read off a retention curve: against values worked out by
// hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "statistics/holm.h"
#include "statistics/isotonic.h"
#include "statistics/retention.h"

namespace mdnlab {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pointwise;

constexpr double rounding = 1e-12;

TEST(Holm, IsThatOfR) {
  // p.adjust(c(0.01, 0.02, 0.03, 0.04), "holm"): 4·0.01, 3·0.02, 2·0.03, then 0.04 may not fall below 0.06.
  EXPECT_THAT(holm(std::vector<double>{0.01, 0.02, 0.03, 0.04}),
              Pointwise(DoubleNear(rounding), {0.04, 0.06, 0.06, 0.06}));
  // In the order given; nothing above 1.
  EXPECT_THAT(holm(std::vector<double>{0.6, 0.001, 0.04}),
              Pointwise(DoubleNear(rounding), {0.6, 0.003, 0.08}));
  EXPECT_THAT(holm(std::vector<double>{0.9, 0.8}), ElementsAre(1, 1));
  EXPECT_THAT(holm(std::vector<double>{0.05}), ElementsAre(0.05));
  EXPECT_THAT(holm({}), IsEmpty());
}

TEST(FallingFit, PoolsWhatRises) {
  const std::vector<double> ones(5, 1.0);
  EXPECT_THAT(falling_fit(std::vector<double>{5.0, 4, 3, 2, 1}, ones), ElementsAre(5, 4, 3, 2, 1));
  EXPECT_THAT(falling_fit(std::vector<double>{1.0, 2, 3, 4, 5}, ones), ElementsAre(3, 3, 3, 3, 3));
  // 3, 2, 4: (2+4)/2 = 3 does not rise above 3; then 1, 2 pool to 1.5.
  EXPECT_THAT(falling_fit(std::vector<double>{3.0, 2, 4, 1, 2}, ones), ElementsAre(3, 3, 3, 1.5, 1.5));
  // (1·1 + 3·4)/(1 + 3) = 3.25
  EXPECT_THAT(falling_fit(std::vector<double>{5.0, 1, 4}, std::vector<double>{1.0, 1, 3}),
              ElementsAre(5, 3.25, 3.25));
  EXPECT_THAT(falling_fit({}, {}), IsEmpty());
}

// The fit is the best one: none of many other falling curves is nearer.
TEST(FallingFit, IsTheNearest) {
  const std::vector<double> values{0.2, 0.9, 0.5, 0.7, 0.1}, weights{1, 2, 1, 3, 1};
  const auto distance = [&](const std::vector<double>& curve) {
    double sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i) sum += weights[i] * std::pow(curve[i] - values[i], 2);
    return sum;
  };
  const double least = distance(falling_fit(values, weights));
  const int steps = 10;
  for (int code = 0; code < std::pow(steps + 1, 5); ++code) {
    std::vector<double> curve;
    for (int rest = code, i = 0; i < 5; ++i, rest /= steps + 1)
      curve.push_back(static_cast<double>(rest % (steps + 1)) / steps);
    if (std::is_sorted(curve.rbegin(), curve.rend())) {
      EXPECT_GE(distance(curve), least - rounding);
    }
  }
}

TEST(Capacity, IsTheLargestNumberStillRecalled) {
  const Capacity some =
      capacity_90({{.pairs = 4, .recall = 1}, {.pairs = 8, .recall = 0.95}, {.pairs = 16, .recall = 0.6}});
  EXPECT_EQ(some.pairs, 8);
  EXPECT_FALSE(some.is_least);
  // A dip of noise is pooled: (0.85 + 0.97)/2 = 0.91.
  EXPECT_EQ(capacity_90({{4, 1}, {8, 0.85}, {16, 0.97}, {32, 0.3}}).pairs, 16);
  // The same dip with three times the items behind it: (3·0.85 + 0.97)/4 = 0.88.
  EXPECT_EQ(capacity_90({{4, 1}, {8, 0.85, 3}, {16, 0.97}, {32, 0.3}}).pairs, 4);
  EXPECT_EQ(capacity_90({{16, 0.2}, {4, 0.9}}).pairs, 4) << "in any order, 0.9 included";
  EXPECT_TRUE(capacity_90({{4, 1}, {8, 1}}).is_least);
  EXPECT_EQ(capacity_90({{4, 0.5}}).pairs, 0);
  EXPECT_EQ(capacity_90({}).pairs, 0);
}

TEST(Retention, CountsTheShareOfEachLag) {
  EXPECT_EQ(retained_share(4, 16), 1);
  EXPECT_EQ(retained_share(1, 16), 0.25);
  EXPECT_EQ(retained_share(-1, 16), 0) << "worse than guessing loses no more than all";
}

TEST(Retention, ReachesAsFarAsEveryPowerOf2WasMeasured) {
  EXPECT_EQ(furthest_lag(std::vector<Information>{{32, 1}, {16, 1}, {64, 1}, {256, 1}}), 64);
  EXPECT_EQ(furthest_lag(std::vector<Information>{{20, 1}, {32, 1}}), 0);
  EXPECT_EQ(furthest_lag({}), 0);
}

TEST(HalfLife, IsInterpolatedInTheLogarithm) {
  // Half of 4 is 2: halfway between 3 at 32 and 1 at 128, that is at log2 g = 6.
  EXPECT_NEAR(half_life(std::vector<Information>{{16, 4}, {32, 3}, {128, 1}})->lag, 64, 1e-9);
  EXPECT_NEAR(half_life(std::vector<Information>{{16, 4}, {32, 2}})->lag, 32, 1e-9);
  const HalfLife kept = *half_life(std::vector<Information>{{16, 4}, {32, 3}});
  EXPECT_TRUE(kept.is_censored);
  EXPECT_EQ(kept.lag, 32);
  EXPECT_FALSE(half_life(std::vector<Information>{{16, 0}, {32, 0}}));
  EXPECT_FALSE(half_life({}));
}

TEST(AtState, IsInterpolatedInTheLogarithmAndNotBeyond) {
  const std::vector<AtState> points{{32768, 0.2}, {131072, 0.6}, {262144, 0.7}};
  EXPECT_NEAR(*at_state(points, 65536), 0.4, rounding);
  EXPECT_DOUBLE_EQ(*at_state(points, 131072), 0.6);
  EXPECT_DOUBLE_EQ(*at_state(points, 32768), 0.2);
  EXPECT_FALSE(at_state(points, 32767));
  EXPECT_FALSE(at_state(points, 1 << 20));
  EXPECT_FALSE(at_state({}, 1));
}

}  // namespace
}  // namespace mdnlab
