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
  std::vector<double> values(seeds.size());
  std::vector<std::size_t> with_items;
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    if (!seeds[i].items.empty()) with_items.push_back(i);
  }
  // Four seeds at a time, whose sums do not wait for one another.
  for (std::size_t first = 0; first < with_items.size(); first += 4) {
    const auto place = [&](std::size_t i) { return with_items[std::min(first + i, with_items.size() - 1)]; };
    const double *a = seeds[place(0)].items.data(), *b = seeds[place(1)].items.data(),
                 *c = seeds[place(2)].items.data(), *d = seeds[place(3)].items.data();
    double sum_a = 0, sum_b = 0, sum_c = 0, sum_d = 0;
    for (const std::size_t item : drawn) {
      sum_a += a[item];
      sum_b += b[item];
      sum_c += c[item];
      sum_d += d[item];
    }
    values[place(0)] = sum_a, values[place(1)] = sum_b, values[place(2)] = sum_c, values[place(3)] = sum_d;
  }
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    const Measured& seed = seeds[i];
    if (!seed.items.empty()) {
      values[i] /= static_cast<double>(count);
    } else {
      values[i] = seed.value;
      if (seed.standard_error > 0) values[i] += seed.standard_error * standard_normal(random);
    }
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
  Interval interval = bootstrap(
      mean_value(seeds), [&](Random& random) { return redraw_mean(random, redraw_items(random, seeds)); },
      draws);
  interval.has_range = says_how_it_varies(seeds);
  return interval;
}

bool says_how_it_varies(std::span<const Measured> seeds) {
  if (seeds.size() > 1) return true;
  return seeds[0].items.empty() ? seeds[0].standard_error > 0 : seeds[0].items.size() > 1;
}

Interval ratio_interval(std::span<const double> parts, std::span<const double> weights, int draws) {
  // Two that share each draw of items, as seeds do.
  const Measured both[] = {{.items = {parts.begin(), parts.end()}},
                           {.items = {weights.begin(), weights.end()}}};
  const double value =
      std::accumulate(parts.begin(), parts.end(), 0.0) / std::accumulate(weights.begin(), weights.end(), 0.0);
  const auto draw = [&](Random& random) {
    const std::vector<double> means = redraw_items(random, both);
    return means[0] / means[1];
  };
  return bootstrap(value, draw, draws);
}

Interval unanimous_interval(double value, std::size_t items) {
  const double least = std::pow(0.025, 1 / static_cast<double>(items));
  return value == 0 ? Interval{.value = 0, .low = 0, .high = 1 - least}
                    : Interval{.value = 1, .low = least, .high = 1};
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
