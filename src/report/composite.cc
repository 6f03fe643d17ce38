#include "report/composite.h"

#include <algorithm>
#include <numeric>

namespace mdnlab {

namespace {

constexpr int pooled_draws = 1000;

// Questions with, for each, the seeds of every side one after another.
struct Asked {
  std::vector<const Question*> questions;
  std::vector<std::vector<Measured>> seeds;
  std::vector<std::size_t> sides;  // seeds of each side
};

void cut(std::vector<Measured>& seeds, std::size_t count) { seeds.resize(std::min(count, seeds.size())); }

Asked ask(const Composite& composite, const Choice& choice) {
  Asked asked;
  std::size_t seeds = SIZE_MAX;
  for (const auto& [question, answer] : choice.answers) {
    if (!composite.takes(question) || answer.seeds.empty()) continue;
    asked.questions.push_back(&question);
    asked.seeds.push_back(answer.seeds);
    seeds = std::min(seeds, answer.seeds.size());
  }
  for (std::vector<Measured>& one : asked.seeds) cut(one, seeds);
  if (!asked.questions.empty()) asked.sides = {seeds};
  return asked;
}

std::vector<double> combine(const Composite& composite, const Asked& asked,
                            const std::function<std::vector<double>(std::size_t)>& values_of) {
  std::vector<double> sums;
  for (std::size_t q = 0; q < asked.questions.size(); ++q) {
    const std::vector<double> values = values_of(q);
    sums.resize(values.size());
    for (std::size_t s = 0; s < values.size(); ++s)
      sums[s] += composite.part ? composite.part(*asked.questions[q], values[s]) : values[s];
  }
  for (double& sum : sums) sum /= static_cast<double>(asked.questions.size());
  return sums;
}

std::vector<double> measured(const Composite& composite, const Asked& asked) {
  return combine(composite, asked, [&](std::size_t q) {
    std::vector<double> values;
    for (const Measured& seed : asked.seeds[q]) values.push_back(seed.value);
    return values;
  });
}

std::vector<double> redrawn(Random& random, const Composite& composite, const Asked& asked) {
  return combine(composite, asked, [&](std::size_t q) { return redraw_items(random, asked.seeds[q]); });
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

bool have_equal_items(std::span<const Measured> seeds) {
  std::size_t items = 0;
  for (const Measured& seed : seeds) {
    if (!seed.items.empty() && items != 0 && seed.items.size() != items) return false;
    items = std::max(items, seed.items.size());
  }
  return true;
}

// Questions that both sides answered and that can be paired.
Asked ask_both(const Composite& composite, const Choice& a, const Choice& b) {
  Asked asked;
  std::size_t of_a = SIZE_MAX, of_b = SIZE_MAX;
  std::vector<std::pair<const Answer*, const Answer*>> answers;
  for (const auto& [question, answer] : a.answers) {
    const auto other = b.answers.find(question);
    if (!composite.takes(question) || other == b.answers.end()) continue;
    if (answer.seeds.empty() || other->second.seeds.empty()) continue;
    asked.questions.push_back(&question);
    answers.emplace_back(&answer, &other->second);
    of_a = std::min(of_a, answer.seeds.size());
    of_b = std::min(of_b, other->second.seeds.size());
  }
  for (const auto& [first, second] : answers) {
    std::vector<Measured>& seeds = asked.seeds.emplace_back(first->seeds);
    cut(seeds, of_a);
    seeds.insert(seeds.end(), second->seeds.begin(),
                 second->seeds.begin() + static_cast<std::ptrdiff_t>(of_b));
    const std::span<const Measured> both = seeds;
    if (!have_equal_items(both) || !says_how_it_varies(both.first(of_a)) ||
        !says_how_it_varies(both.subspan(of_a)))
      return {};
  }
  if (!asked.questions.empty()) asked.sides = {of_a, of_b};
  return asked;
}

}  // namespace

std::vector<double> seed_values(const Composite& composite, const Choice& choice) {
  return measured(composite, ask(composite, choice));
}

std::function<double(Random&)> redrawing(const Composite& composite, const Choice& choice) {
  return [composite, asked = ask(composite, choice)](Random& random) {
    return redraw_mean(random, redrawn(random, composite, asked));
  };
}

std::optional<Interval> interval_of(const Composite& composite, const Choice& choice) {
  const Asked asked = ask(composite, choice);
  if (asked.questions.empty()) return std::nullopt;
  if (asked.questions.size() == 1 && asked.seeds[0].size() == 1 && !composite.part)
    return interval_of(choice.answers.at(*asked.questions[0]));
  Interval interval = bootstrap(
      mean(measured(composite, asked)),
      [&](Random& random) { return redraw_mean(random, redrawn(random, composite, asked)); }, pooled_draws);
  interval.has_range = std::ranges::all_of(
      asked.seeds, [](const std::vector<Measured>& seeds) { return says_how_it_varies(seeds); });
  return interval;
}

std::optional<Compared> compare(const Composite& composite, const Choice& a, const Choice& b) {
  const Asked asked = ask_both(composite, a, b);
  if (asked.questions.empty()) return std::nullopt;
  const std::size_t of_a = asked.sides[0];
  const std::function<double(std::span<const double>)> apart = [&](std::span<const double> values) {
    return mean(values.first(of_a)) - mean(values.subspan(of_a));
  };
  Compared compared{.difference = difference(
                        apart(measured(composite, asked)),
                        [&](Random& random) {
                          const std::vector<double> values = redrawn(random, composite, asked);
                          const std::span<const double> all = values;
                          return redraw_mean(random, all.first(of_a)) -
                                 redraw_mean(random, all.subspan(of_a));
                        },
                        pooled_draws),
                    .seeds = static_cast<std::int64_t>(of_a)};
  for (const std::vector<Measured>& seeds : asked.seeds)
    compared.items += static_cast<std::int64_t>(seeds[0].items.size());
  return compared;
}

const std::vector<Composite>& headlines() {
  const auto text = [](int factor) {
    return [factor](const Question& question) {
      return question.task == "text" && question.metric == "bits_per_byte" &&
             question.setting("length_factor") == factor;
    };
  };
  const auto accuracy = [](const char* task) {
    return
        [task](const Question& question) { return question.task == task && question.metric == "accuracy"; };
  };
  static const std::vector<Composite> all{
      {.name = "bits_per_byte_1x", .more_is_better = false, .takes = text(1)},
      {.name = "bits_per_byte_4x", .more_is_better = false, .takes = text(4)},
      {.name = "mqar_accuracy", .takes = accuracy("mqar")},
      {.name = "needle_accuracy", .takes = accuracy("needle")}};
  return all;
}

}  // namespace mdnlab
