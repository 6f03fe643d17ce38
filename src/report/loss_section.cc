// How the losses fell.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "report/chart.h"
#include "report/sections.h"
#include "report/shown.h"
#include "store/named_query.h"

namespace mdnlab {

namespace {

using Kind = Grid::Kind;

struct Sample {
  double tokens = 0, value = NAN;
};
using Curves = std::map<std::pair<std::int64_t, std::string>, std::vector<Sample>>;  // by run and metric

Curves load_curves(Store& store) {
  Curves curves;
  Statement row = store.sql().query(named_query("curves").sql);
  while (row.step())
    curves[{row.integer(0), row.text(1)}].push_back({row.real(3), row.is_null(4) ? NAN : row.real(4)});
  return curves;
}

// The mean over seeds at each place that all of them reached, with the least and most of them.
std::vector<Point> mean_curve(const Choice& choice, const std::string& metric, const Curves& curves) {
  std::vector<const std::vector<Sample>*> seeds;
  for (const ReportedRun& run : choice.runs) {
    const auto at = curves.find({run.id, metric});
    if (at != curves.end() && !run.is_diverged) seeds.push_back(&at->second);
  }
  std::vector<Point> points;
  std::size_t places = seeds.empty() ? 0 : SIZE_MAX;
  for (const auto* seed : seeds) places = std::min(places, seed->size());
  for (std::size_t i = 0; i < places; ++i) {
    double sum = 0, low = INFINITY, high = -INFINITY;
    for (const auto* seed : seeds) {
      sum += (*seed)[i].value;
      low = std::min(low, (*seed)[i].value);
      high = std::max(high, (*seed)[i].value);
    }
    points.push_back({(*seeds[0])[i].tokens, sum / static_cast<double>(seeds.size()), std::pair(low, high)});
  }
  return points;
}

std::optional<Interval> last_of(const Choice& choice, const std::string& metric, const Curves& curves,
                                std::int64_t& seeds) {
  std::vector<Measured> values;
  for (const ReportedRun& run : choice.runs) {
    const auto at = curves.find({run.id, metric});
    if (at == curves.end() || run.is_diverged || !std::isfinite(at->second.back().value)) continue;
    values.push_back({.value = at->second.back().value});
  }
  seeds = static_cast<std::int64_t>(values.size());
  return interval_of(Answer{.seeds = values});
}

// From the lowest value to the loss at a tenth of the way: the fall from initialisation would flatten all the
// rest.
Axis loss_axis(const std::vector<Series>& series, const std::string& label) {
  std::vector<double> values;
  for (const Series& one : series) {
    for (std::size_t i = one.points.size() / 10; i < one.points.size(); ++i)
      values.push_back(one.points[i].y);
  }
  return axis_over(values, label);
}

}  // namespace

Section loss_section(Store& store, const Results& results) {
  Section section{
      .id = "loss", .title = "Loss curves", .how_to_fill = "mdnlab run experiments/quickstart.yaml --jobs 2"};
  const Curves curves = load_curves(store);
  std::size_t number = 0;
  for (const std::vector<const Choice*>& choices : by_sweep(results)) {
    if (choices[0]->runs.empty()) continue;
    Figure figure{
        .file = fmt::format("loss_{}", ++number),
        .title = sweep_name(*choices[0]),
        .about =
            std::string("Means over seeds that did not diverge, each point over a 48th of the steps; the "
                        "band is from the lowest to the highest seed. What lies above the axis is drawn "
                        "on its edge. ") +
            shown_words,
        .queries = {"runs", "curves"}};
    figure.table.columns = {{"rule"},
                            {"options"},
                            {"train_loss_nats", Kind::estimate},
                            {"valid_loss_nats", Kind::estimate},
                            {"seeds", Kind::number},
                            {"diverged", Kind::number}};
    const std::vector<Shown> drawn = shown(results, choices);
    for (const char* metric : {"train/loss", "valid/loss"}) {
      LineChart chart{.series = {}, .has_marks = false};
      std::vector<double> tokens;
      for (const Shown& one : drawn) {
        std::vector<Point> points = mean_curve(*one.choice, metric, curves);
        for (const Point& point : points) tokens.push_back(point.x);
        if (points.size() > 1) chart.series.push_back({one.name, one.style, std::move(points)});
      }
      if (chart.series.empty()) continue;
      chart.x = axis_over(tokens, "tokens seen", Scale::linear, Unit::tokens, true);
      chart.y = loss_axis(chart.series, "loss (nats a token)");
      figure.panels.push_back({metric, line_chart(chart)});
    }
    if (figure.panels.empty()) continue;
    figure.legend = legend_of(drawn);
    for (const Choice* choice : choices) {
      std::int64_t seeds = 0, validated = 0;
      const auto train = last_of(*choice, "train/loss", curves, seeds);
      const auto valid = last_of(*choice, "valid/loss", curves, validated);
      figure.table.rows.push_back({words(choice->rule), words(choice->options), estimate(train, 4),
                                   estimate(valid, 4), count(seeds), count(choice->diverged())});
    }
    section.figures.push_back(std::move(figure));
  }
  return section;
}

}  // namespace mdnlab
