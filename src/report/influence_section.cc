// How much of an earlier value an output of a trained model still holds.
#include <map>

#include "report/chart.h"
#include "report/sections.h"
#include "report/shown.h"

namespace mdnlab {

Section influence_section(const Results& results) {
  using Kind = Grid::Kind;
  Section section{
      .id = "influence", .title = "Influence", .how_to_fill = "mdnlab eval MODEL --task influence"};
  for (const std::vector<const Choice*>& choices : by_sweep(results)) {
    Figure figure{
        .file = "influence_" + std::to_string(section.figures.size() + 1),
        .title = sweep_name(*choices[0]),
        .about =
            std::string("o_t = Σ c(t,i) v_i exactly, for every rule that is linear in its values: the median "
                        "of |c(t,i)| by lag t − i. ") +
            shown_words,
        .queries = {"runs", "scores"}};
    figure.table.columns = {{"rule"},
                            {"options"},
                            {"lag", Kind::number},
                            {"influence", Kind::estimate},
                            {"seeds", Kind::number},
                            {"items", Kind::number}};
    std::map<const Choice*, std::map<double, Point>> lines;
    std::vector<double> lags, values;
    for (const Choice* choice : choices) {
      for (const auto& [question, answer] : choice->answers) {
        const auto lag = question.setting("lag");
        const std::optional<Interval> interval = interval_of(answer);
        if (question.metric != "influence" || !lag.is_number() || !interval) continue;
        const auto x = lag.get<double>();
        lines[choice][x] = {x, interval->value, std::pair(interval->low, interval->high)};
        lags.push_back(x);
        values.insert(values.end(), {interval->low, interval->high});
        figure.table.rows.push_back({words(choice->rule), words(choice->options),
                                     count(lag.get<std::int64_t>()), estimate(interval, 5),
                                     count(static_cast<std::int64_t>(answer.seeds.size())),
                                     count(answer.items)});
      }
    }
    if (lines.empty()) continue;
    LineChart chart{.x = axis_over(lags, "lag t − i (tokens)", Scale::log2, Unit::tokens),
                    .y = axis_over(values, "median of |c(t,i)|", Scale::log10),
                    .series = {}};
    const std::vector<Shown> drawn = shown(results, choices);
    for (const Shown& one : drawn) {
      Series series{one.name, one.style, {}};
      for (const auto& [x, point] : lines[one.choice]) {
        if (x > 0 && point.y > 0) series.points.push_back(point);  // what a logarithm has a place for
      }
      if (!series.points.empty()) chart.series.push_back(std::move(series));
    }
    for (const Series& series : chart.series) figure.legend.push_back({series.name, series.style});
    figure.panels.push_back({"", line_chart(chart)});
    section.figures.push_back(std::move(figure));
  }
  return section;
}

}  // namespace mdnlab
