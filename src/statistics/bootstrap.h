// Intervals by a bootstrap of two levels: seeds, and the items that every seed was asked.
//
// Items are crossed with seeds (each seed answers the same items), so one draw takes items with replacement
// once for all seeds, then seeds with replacement. (A. Owen, "The pigeonhole bootstrap", Annals of Applied
// Statistics 1, 2007: its variance is that of the mean or somewhat above, never below.)
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "base/random.h"

namespace mdnlab {

// One number as one seed gave it. Where items are not kept, the second level draws from the normal
// distribution around `value` with its standard error.
struct Measured {
  double value = 0;
  double standard_error = 0;
  std::vector<double> items;  // whose mean is `value`; item i is the same question for every seed and model
};

struct Interval {
  double value = 0;          // the number itself, not the mean of the draws
  double low = 0, high = 0;  // 2.5 and 97.5 per cent of the draws
  bool has_range = true;     // false: nothing says how the number would vary, and low and high are it
};

inline constexpr int usual_draws = 2000;

// What the seeds would have given with other items. Seeds with items share one draw of them; all that have
// items must have equally many (Code::failed).
std::vector<double> redraw_items(Random& random, std::span<const Measured> seeds);

// The mean of as many values, drawn with replacement.
double redraw_mean(Random& random, std::span<const double> values);

// Of `draws` values of `draw`; the seed of the random numbers is fixed, so that equal data give an equal
// interval.
Interval bootstrap(double value, const std::function<double(Random&)>& draw, int draws = usual_draws);

// One seed of a single item, or without items and standard error, does not: nothing is known but the number.
bool says_how_it_varies(std::span<const Measured> seeds);

// The mean over seeds; at least one (Code::failed).
Interval mean_interval(std::span<const Measured> seeds, int draws = usual_draws);

// Σ parts / Σ weights over items of one model, which are drawn with both of theirs: the mean of items that
// weigh differently, parts being weight times value. Weights above 0, as many as parts, one at least.
Interval ratio_interval(std::span<const double> parts, std::span<const double> weights,
                        int draws = usual_draws);

// Of a number from 0 to 1 that was 0, or 1, on each of so many items: draws of them could not differ, so this
// is the interval of Clopper and Pearson (Biometrika 26, 1934), up to the mean that would give as many alike
// with a chance of 2.5 %.
Interval unanimous_interval(double value, std::size_t items);

struct Difference {
  Interval interval;  // of mean(a) − mean(b)
  double p = 1;       // two-sided; the least that `draws` can show is 2/(draws + 1)
};

// Of `draws` values of `draw`, each a redrawn difference.
Difference difference(double value, const std::function<double(Random&)>& draw, int draws = usual_draws);

// Paired on identical items, which both must have in equal number (else Code::failed); seeds are drawn for
// each side.
Difference paired_difference(std::span<const Measured> a, std::span<const Measured> b,
                             int draws = usual_draws);

// The value below which a share q of the values lies: linear between order statistics. Sorts; at least one
// value.
double quantile(std::span<double> values, double q);

}  // namespace mdnlab
