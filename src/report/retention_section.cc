// Information retention, the headline: RET against the bytes of state that it costs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.h"
#include "report/chart.h"
#include "report/information_figure.h"
#include "report/retention_scores.h"
#include "report/sections.h"
#include "report/shown.h"

namespace mdnlab {

namespace {

using Kind = Grid::Kind;
using Choices = std::vector<const Choice*>;

constexpr double state_sizes[] = {64 << 10, 1 << 20};
constexpr int interpolated_draws = 400;

std::string lag_words(const std::optional<HalfLife>& half) {
  if (!half) return "";
  return half->is_censored ? fmt::format(">{:.0f}", half->lag) : fmt::format("{:.0f}", half->lag);
}

struct Retained {
  const Choice* choice;
  RetentionSetting setting;
  Interval share;
};

std::vector<Retained> retained(const Choices& choices) {
  std::vector<Retained> list;
  for (const Choice* choice : choices) {
    for (const RetentionSetting& setting : retention_settings(*choice)) {
      if (const auto share = interval_of(retention_composite(setting), *choice))
        list.push_back({choice, setting, *share});
    }
  }
  return list;
}

Figure against_state(const Results& results, const std::vector<Retained>& all, std::size_t number) {
  Figure figure{
      .file = fmt::format("retention_{}", number),
      .title = "RET against state. " + sweep_name(*all[0].choice),
      .about =
          "RET: the mean over lags 2^k = 16 … T, the furthest asked, of max(0, I)/log2 n_v, 1 when nothing is "
          "lost; with writes of other keys in between, over the lags that hold them. State: "
          "every tensor needed to continue decoding one sequence, at its stored dtype. Attention is the "
          "ceiling, at the state of its cache, and is not ranked. C90: the most pairs recalled at 90 % "
          "or more; half-life: the lag at which half of I is lost; overwrite: bits of a key's new value "
          "less those of its old one.",
      .queries = {"runs", "scores"}};
  figure.table.columns = {{"rule"},
                          {"options"},
                          {"state_bytes", Kind::number},
                          {"retention", Kind::estimate},
                          {"furthest_lag", Kind::number},
                          {"writes", Kind::number},
                          {"half_life_tokens", Kind::number},
                          {"overwrite_bits", Kind::estimate},
                          {"c90_pairs", Kind::number},
                          {"c90_pairs_per_kib", Kind::number},
                          {"seeds", Kind::number},
                          {"diverged", Kind::number},
                          {"items", Kind::number}};
  std::map<std::int64_t, std::map<std::string, Series>> panels;  // by writes in between
  std::vector<double> states;
  for (const Retained& one : all) {
    const Choice& choice = *one.choice;
    const auto state = static_cast<double>(choice.state_bytes);
    const auto capacity = capacity_of(choice);
    std::int64_t items = 0;
    for (const Recovered& point : recovered(choice)) {
      if (one.setting.counts(point)) items += point.answer->items;
    }
    figure.table.rows.push_back(
        {words(choice.rule), words(choice.options), bytes_cell(state), estimate(one.share, 3),
         count(one.setting.furthest), count(one.setting.writes),
         words(lag_words(half_life_of(choice, one.setting))),
         estimate(interval_of(overwrite_composite(), choice), 2),
         words(capacity ? fmt::format("{}{}", capacity->is_least ? "≥" : "", capacity->pairs) : ""),
         real(capacity && state > 0 ? std::optional(static_cast<double>(capacity->pairs) / (state / 1024))
                                    : std::nullopt,
              3),
         count(choice.seeds()), count(choice.diverged()), count(items)});
    if (state <= 0) continue;
    states.push_back(state);
    Series& line = panels[one.setting.writes][choice.rule];
    line.name = choice.rule;
    line.style = results.styles.at(choice.rule);
    line.points.push_back({state, one.share.value, range_of(one.share)});
  }
  for (auto& [writes, lines] : panels) {
    LineChart chart{.x = axis_over(states, "state of one sequence (bytes)", Scale::log2, Unit::bytes),
                    .y = {.label = "RET (share of what was written)", .low = 0, .high = 1},
                    .series = {}};
    for (auto& [rule, line] : lines) {
      std::ranges::stable_sort(line.points, {}, &Point::x);
      if (&lines == &panels.begin()->second) figure.legend.push_back({rule, line.style});
      chart.series.push_back(std::move(line));
    }
    figure.panels.push_back({writes_words(writes), line_chart(chart)});
  }
  return figure;
}

// RET where every rule has the same state.
void add_interpolated(const std::vector<Retained>& all, Grid& grid) {
  std::map<std::pair<std::string, std::int64_t>, std::vector<const Retained*>> rules;  // and writes
  for (const Retained& one : all) {
    if (one.choice->rule != ceiling_rule) rules[{one.choice->rule, one.setting.writes}].push_back(&one);
  }
  for (auto& [place, points] : rules) {
    std::ranges::sort(points, {}, [](const Retained* one) { return one->choice->state_bytes; });
    const bool is_curve = std::ranges::adjacent_find(points, {}, [](const Retained* one) {
                            return one->choice->state_bytes;
                          }) == points.end();
    if (!is_curve)
      continue;  // two choices at one size: which of them the curve goes through is not ours to say
    const auto at = [&](double state, const std::function<double(const Retained&)>& value) {
      std::vector<AtState> curve;
      for (const Retained* one : points)
        curve.push_back({static_cast<double>(one->choice->state_bytes), value(*one)});
      return at_state(curve, state);
    };
    for (const double state : state_sizes) {
      const auto value = at(state, [](const Retained& one) { return one.share.value; });
      if (!value) continue;
      std::map<const Retained*, std::function<double(Random&)>> draws;
      for (const Retained* one : points)
        draws.emplace(one, redrawing(retention_composite(one->setting), *one->choice));
      const Interval interval = bootstrap(
          *value,
          [&](Random& random) {
            return *at(state, [&](const Retained& one) { return draws.at(&one)(random); });
          },
          interpolated_draws);
      grid.rows.push_back({words(points[0]->choice->sweep), words(place.first), count(place.second),
                           bytes_cell(state), estimate(interval, 3),
                           count(static_cast<std::int64_t>(points.size())),
                           count(points[0]->choice->seeds())});
    }
  }
}

}  // namespace

Section retention_section(const Results& results) {
  Section section{.id = "retention",
                  .title = "Information retention",
                  .how_to_fill = "mdnlab run experiments/retention.yaml"};
  Figure equal_state{
      .file = "retention_at_equal_state",
      .title = "RET at equal state",
      .about =
          "Linear in log2(state bytes) between the measured sizes around it; never continued beyond "
          "them. Rules with two choices at one size are left out.",
      .queries = {"runs", "scores"}};
  equal_state.table.columns = {{"sweep"},
                               {"rule"},
                               {"writes", Kind::number},
                               {"state_bytes", Kind::number},
                               {"retention", Kind::estimate},
                               {"sizes_measured", Kind::number},
                               {"seeds", Kind::number}};
  std::size_t number = 0;
  std::vector<Figure> all_curves;
  for (const Choices& choices : by_sweep(results)) {
    Figure figure = information_figure(results, choices, ++number);
    if (figure.table.rows.empty()) continue;
    if (const std::vector<Retained> all = retained(choices); !all.empty()) {
      section.figures.push_back(against_state(results, all, number));
      add_interpolated(all, equal_state.table);
    }
    all_curves.push_back(std::move(figure));
  }
  if (!equal_state.table.rows.empty()) section.figures.push_back(std::move(equal_state));
  for (Figure& figure : all_curves) section.figures.push_back(std::move(figure));
  return section;
}

}  // namespace mdnlab
