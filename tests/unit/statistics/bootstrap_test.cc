#include "statistics/bootstrap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "../error_of.h"
#include "base/error.h"

namespace mdnlab {
namespace {

constexpr double two_sided_95 = 1.959964;  // of the standard normal distribution

Measured of_items(std::vector<double> items) {
  double sum = 0;
  for (const double item : items) sum += item;
  return {.value = sum / static_cast<double>(items.size()), .items = std::move(items)};
}

// Right on every k-th item.
std::vector<double> every(int k, int count, int first = 0) {
  std::vector<double> items(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) items[static_cast<std::size_t>(i)] = i % k == first % k;
  return items;
}

TEST(Bootstrap, OfOneSeedIsThatOfItsItems) {
  // The mean of n resampled items of a share p is binomial: half a width of 1.96·√(p(1−p)/n).
  const std::vector<Measured> seeds{of_items(every(4, 400))};
  const Interval interval = mean_interval(seeds, 20'000);
  const double half = two_sided_95 * std::sqrt(0.25 * 0.75 / 400);
  EXPECT_EQ(interval.value, 0.25);
  EXPECT_NEAR(interval.low, 0.25 - half, 0.003);
  EXPECT_NEAR(interval.high, 0.25 + half, 0.003);
}

TEST(Bootstrap, OfConstantItemsIsThatOfTheSeeds) {
  // Two seeds, 0 and 1: the mean of two drawn is 0, ½, 1 with chances ¼, ½, ¼.
  const std::vector<Measured> seeds{of_items({0, 0, 0}), of_items({1, 1, 1})};
  const Interval interval = mean_interval(seeds);
  EXPECT_EQ(interval.value, 0.5);
  EXPECT_EQ(interval.low, 0);
  EXPECT_EQ(interval.high, 1);
}

TEST(Bootstrap, AddsTheVarianceOfSeedsAndOfItems) {
  // x(s,i) = a(s) + b(i), so a draw is mean a* + mean b*: variances var(a)/S + var(b)/I, of the empirical
  // values.
  const std::vector<double> a{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  std::vector<Measured> seeds;
  for (const double shift : a) {
    std::vector<double> items = every(2, 50);
    for (double& item : items) item = shift + 20 * item;
    seeds.push_back(of_items(items));
  }
  const double deviation = std::sqrt(8.25 / 10 + 100.0 / 50);
  const Interval interval = mean_interval(seeds, 20'000);
  EXPECT_DOUBLE_EQ(interval.value, 14.5);
  EXPECT_NEAR(interval.high - interval.low, 2 * two_sided_95 * deviation, 0.03 * deviation * 4);
}

TEST(Bootstrap, WithoutItemsDrawsFromTheStandardError) {
  const std::vector<Measured> seeds{{.value = 3, .standard_error = 0.5}};
  const Interval interval = mean_interval(seeds, 20'000);
  EXPECT_NEAR(interval.low, 3 - two_sided_95 * 0.5, 0.03);
  EXPECT_NEAR(interval.high, 3 + two_sided_95 * 0.5, 0.03);
}

TEST(Bootstrap, OfOneNumberAloneHasNoRange) {
  EXPECT_FALSE(mean_interval(std::vector<Measured>{{.value = 3}}).has_range);
  EXPECT_FALSE(mean_interval(std::vector<Measured>{of_items({3})}).has_range);
  EXPECT_TRUE(mean_interval(std::vector<Measured>{{.value = 3}, {.value = 3}}).has_range);
  EXPECT_TRUE(mean_interval(std::vector<Measured>{{.value = 3, .standard_error = 0.1}}).has_range);
  EXPECT_TRUE(mean_interval(std::vector<Measured>{of_items({3, 3})}).has_range);
}

TEST(Bootstrap, CountsADivergedSeedAs0) {
  const std::vector<Measured> seeds{of_items({1, 1, 1, 1}), of_items({1, 1, 1, 1}), Measured{}};
  const Interval interval = mean_interval(seeds);
  EXPECT_DOUBLE_EQ(interval.value, 2.0 / 3);
  EXPECT_EQ(interval.low, 0);
  EXPECT_EQ(interval.high, 1);
}

TEST(Bootstrap, IsTheSameEachTime) {
  const std::vector<Measured> seeds{of_items(every(3, 30)), of_items(every(2, 30))};
  EXPECT_EQ(mean_interval(seeds).low, mean_interval(seeds).low);
}

TEST(Bootstrap, CoversTheTruthAboutAsOftenAsItSays) {
  // 8 seeds × 40 items, normal effects of both: 95 % intervals from 8 seeds are known to cover somewhat less.
  Random random{7};
  const auto normal = [&] {
    return std::sqrt(-2 * std::log(1 - random.uniform())) * std::cos(2 * M_PI * random.uniform());
  };
  int covered = 0;
  const int trials = 300;
  for (int trial = 0; trial < trials; ++trial) {
    std::vector<double> items(40);
    for (double& item : items) item = normal();
    std::vector<Measured> seeds;
    for (int s = 0; s < 8; ++s) {
      const double shift = 0.3 * normal();
      std::vector<double> shifted = items;
      for (double& item : shifted) item += shift + normal();
      seeds.push_back(of_items(shifted));
    }
    const Interval interval = mean_interval(seeds, 400);
    covered += interval.low <= 0 && 0 <= interval.high;
  }
  EXPECT_GT(covered, 0.88 * trials);
  EXPECT_LT(covered, 0.99 * trials);
}

TEST(RatioInterval, OfEqualWeightsIsThatOfTheMean) {
  const std::vector<double> items = every(4, 400), weights(400, 7);
  std::vector<double> parts = items;
  for (double& part : parts) part *= 7;
  const Interval interval = ratio_interval(parts, weights, 20'000);
  const double half = two_sided_95 * std::sqrt(0.25 * 0.75 / 400);
  EXPECT_EQ(interval.value, 0.25);
  EXPECT_NEAR(interval.low, 0.25 - half, 0.003);
  EXPECT_NEAR(interval.high, 0.25 + half, 0.003);
}

TEST(RatioInterval, DrawsAnItemWithItsWeight) {
  // Values of a normal distribution, weights of 1 to 9: the variance of a ratio is Σ w²(x − mean)²/(Σ w)².
  Random random{11};
  std::vector<double> parts, weights, values;
  double sum = 0, weight = 0, squares = 0;
  for (int i = 0; i < 500; ++i) {
    values.push_back(3 +
                     std::sqrt(-2 * std::log(1 - random.uniform())) * std::cos(2 * M_PI * random.uniform()));
    weights.push_back(1 + i % 9);
    parts.push_back(values.back() * weights.back());
    sum += parts.back();
    weight += weights.back();
  }
  for (std::size_t i = 0; i < values.size(); ++i)
    squares += std::pow(weights[i] * (values[i] - sum / weight), 2);
  const double half = two_sided_95 * std::sqrt(squares) / weight;
  const Interval interval = ratio_interval(parts, weights, 20'000);
  EXPECT_DOUBLE_EQ(interval.value, sum / weight);
  EXPECT_NEAR(interval.low, sum / weight - half, 0.05 * half);
  EXPECT_NEAR(interval.high, sum / weight + half, 0.05 * half);
}

TEST(UnanimousInterval, IsExact) {
  const Interval none = unanimous_interval(0, 10), all = unanimous_interval(1, 10);
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 0.30850, 1e-5);  // R's binom.test(0, 10)
  EXPECT_NEAR(all.low, 1 - 0.30850, 1e-5);
  EXPECT_EQ(all.high, 1);
}

TEST(PairedDifference, SeesPastTheItems) {
  // Items differ much, models little: b is always 0.1 below a on the same item.
  std::vector<double> a(100), b(100);
  for (int i = 0; i < 100; ++i) {
    const auto at = static_cast<std::size_t>(i);
    a[at] = i;
    b[at] = i - 0.1;
  }
  const std::vector<Measured> first{of_items(a)}, second{of_items(b)};
  const Difference difference = paired_difference(first, second, 999);
  EXPECT_NEAR(difference.interval.value, 0.1, 1e-9);
  EXPECT_NEAR(difference.interval.low, 0.1, 1e-9);
  EXPECT_NEAR(difference.interval.high, 0.1, 1e-9);
  EXPECT_DOUBLE_EQ(difference.p, 2.0 / 1000) << "the least that 999 draws can show";
}

TEST(PairedDifference, OfEqualModelsIsNone) {
  const std::vector<Measured> same{of_items(every(3, 60)), of_items(every(3, 60))};
  const Difference difference = paired_difference(same, same);
  EXPECT_EQ(difference.interval.value, 0);
  EXPECT_EQ(difference.p, 1);
}

TEST(PairedDifference, RefusesDifferentItems) {
  const std::vector<Measured> few{of_items({1, 0})}, many{of_items({1, 0, 1})};
  const Error error = error_of([&] { paired_difference(few, many); });
  EXPECT_EQ(error.code(), Code::failed);
  EXPECT_STREQ(error.what(), "seeds were asked different numbers of items; found 3, expected 2");
  EXPECT_EQ(error_of([] { mean_interval({}); }).code(), Code::failed);
}

TEST(Quantile, IsLinearBetweenOrderStatistics) {
  std::vector<double> values{4, 1, 3, 2};  // R's quantile(c(1,2,3,4), c(0, .25, .5, 1)): 1, 1.75, 2.5, 4
  EXPECT_EQ(quantile(values, 0), 1);
  EXPECT_EQ(quantile(values, 0.25), 1.75);
  EXPECT_EQ(quantile(values, 0.5), 2.5);
  EXPECT_EQ(quantile(values, 1), 4);
}

}  // namespace
}  // namespace mdnlab
