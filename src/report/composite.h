// Numbers made of several answers: of each seed the mean over questions, with intervals and paired
// differences by the bootstrap of statistics/bootstrap.h. Each question's items are drawn on their own, seeds
// are drawn once for all.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "report/results.h"

namespace mdnlab {

struct Composite {
  std::string name;  // as a column
  int places = 3;
  bool more_is_better = true;
  std::function<bool(const Question&)> takes;
  std::function<double(const Question&, double)> part;  // what an answer contributes; empty: its value
};

// The number of each seed, diverged ones included; empty where no question was answered.
std::vector<double> seed_values(const Composite& composite, const Choice& choice);

// Draws the mean over seeds again and again; only where seed_values is not empty.
std::function<double(Random&)> redrawing(const Composite& composite, const Choice& choice);

std::optional<Interval> interval_of(const Composite& composite, const Choice& choice);

struct Compared {
  Difference difference;
  std::int64_t seeds = 0, items = 0;  // of a; items over all questions, 0 where they are not kept
};

// a − b over the questions that both answered, on identical items; nothing where there is none, or where a
// side has one seed and neither items nor a standard error: that says nothing of chance.
std::optional<Compared> compare(const Composite& composite, const Choice& a, const Choice& b);

// What choices are ranked by, retention aside (retention_scores.h).
const std::vector<Composite>& headlines();

}  // namespace mdnlab
