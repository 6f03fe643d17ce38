#include "report/information_figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.h"
#include "report/chart.h"
#include "report/retention_scores.h"
#include "report/shown.h"
#include "report/state_sizes.h"

namespace mdnlab {

namespace {

using Kind = Grid::Kind;
using Choices = std::vector<const Choice*>;
using Setting = std::pair<std::int64_t, std::int64_t>;  // length, writes
using Curves = std::map<Setting, std::map<const Choice*, std::vector<Point>>>;

constexpr const char* how_it_is_told =
    "A lower bound on the mutual information, not cut at 0. Bars are 95 % intervals. Of a rule that has several choices "
    "of options at a size, the first is drawn; the table has all.";

struct Axes {
  Axis lag, bits;
};

// The lines of a size, and the ceiling beside them.
std::vector<Shown> drawn_at(const Results& results, const StateSize& size, const Choices& choices) {
  std::vector<Shown> drawn = shown(results, size.choices);
  if (const Choice* ceiling = ceiling_beside(size, choices)) {
    drawn.push_back({ceiling,
                     fmt::format("{}, the ceiling at {}", ceiling->rule, bytes_text(ceiling->state_bytes)),
                     results.styles.at(ceiling->rule)});
  }
  return drawn;
}

FoldedPanels panels_of(const StateSize& size, const std::vector<Shown>& drawn, const Curves& curves,
                       const Axes& axes) {
  FoldedPanels told{.title = "At " + size.words(), .legend = legend_of(drawn), .panels = {}};
  for (const auto& [setting, lines] : curves) {
    LineChart chart{.x = axes.lag, .y = axes.bits, .series = {}};
    bool is_of_this_size = false;
    for (const Shown& one : drawn) {
      const auto line = lines.find(one.choice);
      if (line == lines.end()) continue;
      chart.series.push_back({one.name, one.style, line->second});
      is_of_this_size = is_of_this_size || std::ranges::find(size.choices, one.choice) != size.choices.end();
    }
    if (!is_of_this_size) continue;
    told.panels.push_back(
        {(setting.first == 0 ? "" : grouped(setting.first) + " tokens, ") + writes_words(setting.second),
         line_chart(chart)});
  }
  return told;
}

}  // namespace

Figure information_figure(const Results& results, const Choices& choices, std::size_t number) {
  Figure figure{
      .file = fmt::format("information_{}", number),
      .title = "I(g): bits recovered of what was written g tokens before. " + sweep_name(*choices[0]),
      .about = how_it_is_told,
      .queries = {"runs", "scores"}};
  figure.table.columns = {{"rule"},
                          {"options"},
                          {"state_bytes", Kind::number},
                          {"length_tokens", Kind::number},
                          {"writes", Kind::number},
                          {"lag", Kind::number},
                          {"information_bits", Kind::estimate},
                          {"seeds", Kind::number},
                          {"items", Kind::number}};
  Curves curves;
  Choices asked;
  std::vector<double> lags, bits;
  for (const Choice* choice : choices) {
    const std::vector<Recovered> points = recovered(*choice);
    if (!points.empty()) asked.push_back(choice);
    for (const Recovered& point : points) {
      const Interval interval = *interval_of(*point.answer);
      figure.table.rows.push_back(
          {words(choice->rule), words(choice->options),
           choice->state_bytes > 0 ? bytes_cell(static_cast<double>(choice->state_bytes)) : words(""),
           point.length == 0 ? words("") : count(point.length), count(point.writes), count(point.lag),
           estimate(interval, 3), count(static_cast<std::int64_t>(point.answer->seeds.size())),
           count(point.answer->items)});
      curves[{point.length, point.writes}][choice].push_back(
          {static_cast<double>(point.lag), interval.value, range_of(interval)});
      lags.push_back(static_cast<double>(point.lag));
      bits.insert(bits.end(), {interval.low, interval.high, std::log2(static_cast<double>(point.values))});
    }
  }
  if (asked.empty()) return figure;
  const Axes axes{axis_over(lags, "lag g between write and query (tokens)", Scale::log2, Unit::tokens),
                  axis_over(bits, "I(g) (bits)", Scale::linear, Unit::plain, true)};
  const std::vector<StateSize> sizes = state_sizes(asked);
  for (const StateSize& size : sizes) {
    FoldedPanels told = panels_of(size, drawn_at(results, size, asked), curves, axes);
    if (&size != &sizes[0]) {
      figure.folded.push_back(std::move(told));
      continue;
    }
    figure.legend = std::move(told.legend);
    figure.panels = std::move(told.panels);
  }
  figure.about =
      fmt::format("Of rules with {}{}. {}", sizes[0].words(),
                  sizes.size() == 1
                      ? ""
                      : ", the size nearest to 64 KiB that the most rules have; other sizes are folded below",
                  figure.about);
  if (ceiling_beside(sizes[0], asked) != nullptr)
    figure.about += " Attention is the ceiling, at the state of its cache.";
  return figure;
}

}  // namespace mdnlab
