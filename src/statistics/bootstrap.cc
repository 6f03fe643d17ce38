#include "statistics/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "base/error.h"

namespace mdnlab {

namespace {

// Box and Muller; 1 − uniform() is never 0.
double standard_normal(Random& random) {
  const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
  return radius * std::cos(2 * std::numbers::pi * random.uniform());
}

std::size_t common_items(std::span<const Measured> seeds) {
  std::size_t count = 0;
  for (const Measured& seed : seeds) {
    if (seed.items.empty() || seed.items.size() == count) continue;
    if (count != 0) {
      throw Error(Code::failed, {.what = "seeds were asked different numbers of items",
                                 .found = std::to_string(seed.items.size()),
                                 .expected = std::to_string(count)});
    }
    count = seed.items.size();
  }
  return count;
}

double mean_value(std::span<const Measured> seeds) {
  if (seeds.empty()) throw Error(Code::failed, "an interval needs at least one seed");
  double sum = 0;
  for (const Measured& seed : seeds) sum += seed.value;
  return sum / static_cast<double>(seeds.size());
}

}  // namespace

std::vector<double> redraw_items(Random& random, std::span<const Measured> seeds) {
  const std::size_t count = common_items(seeds);
  // Two items from the halves of one random number; their chances differ by less than count/2^32.
  std::vector<std::size_t> drawn(count);
  for (std::size_t i = 0; i < count; i += 2) {
    const std::uint64_t bits = random.next();
    drawn[i] = static_cast<std::size_t>((bits & 0xffffffff) * count >> 32);
    if (i + 1 < count) drawn[i + 1] = static_cast<std::size_t>((bits >> 32) * count >> 32);
  }
  std::vector<double> values;
  for (const Measured& seed : seeds) {
    if (seed.items.empty()) {
      values.push_back(seed.standard_error > 0 ? seed.value + seed.standard_error * standard_normal(random)
                                               : seed.value);
      continue;
    }
    double sum = 0;
    for (const std::size_t item : drawn) sum += seed.items[item];
    values.push_back(sum / static_cast<double>(count));
  }
  return values;
}

double redraw_mean(Random& random, std::span<const double> values) {
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) sum += values[random.below(values.size())];
  return sum / static_cast<double>(values.size());
}

double quantile(std::span<double> values, double q) {
  std::ranges::sort(values);
  const double place = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], place - static_cast<double>(below));
}

Interval bootstrap(double value, const std::function<double(Random&)>& draw, int draws) {
  Random random{0x626f6f74 /* a stream of its own */, static_cast<std::uint64_t>(draws)};
  std::vector<double> drawn(static_cast<std::size_t>(draws));
  for (double& one : drawn) one = draw(random);
  const double low = quantile(drawn, 0.025);
  return {.value = value, .low = low, .high = quantile(drawn, 0.975)};
}

Interval mean_interval(std::span<const Measured> seeds, int draws) {
  return bootstrap(
      mean_value(seeds), [&](Random& random) { return redraw_mean(random, redraw_items(random, seeds)); },
      draws);
}

Difference difference(double value, const std::function<double(Random&)>& draw, int draws) {
  int at_most_0 = 0, at_least_0 = 0;
  const auto counted = [&](Random& random) {
    const double one = draw(random);
    at_most_0 += one <= 0;
    at_least_0 += one >= 0;
    return one;
  };
  const Interval interval = bootstrap(value, counted, draws);
  const double rarer = std::min(at_most_0, at_least_0) + 1;
  return {.interval = interval, .p = std::min(1.0, 2 * rarer / (draws + 1))};
}

Difference paired_difference(std::span<const Measured> a, std::span<const Measured> b, int draws) {
  std::vector<Measured> both(a.begin(), a.end());
  both.insert(both.end(), b.begin(), b.end());
  const auto draw = [&](Random& random) {
    const std::vector<double> values = redraw_items(random, both);
    const std::span<const double> all = values;
    return redraw_mean(random, all.first(a.size())) - redraw_mean(random, all.subspan(a.size()));
  };
  return difference(mean_value(a) - mean_value(b), draw, draws);
}

}  // namespace mdnlab
