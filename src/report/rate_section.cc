// What the choice of each learning rate rests on.
#include <algorithm>
#include <iterator>

#include "report/chart.h"
#include "report/sections.h"
#include "report/shown.h"

namespace mdnlab {

namespace {

using Kind = Grid::Kind;

std::optional<Interval> mean_loss(const TriedRate& rate) {
  return interval_of(Answer{.seeds = rate.valid_losses});
}

std::optional<LineChart> losses(const std::vector<Shown>& drawn) {
  LineChart chart;
  std::vector<double> rates, values;
  for (const Shown& one : drawn) {
    Series series{.name = one.name, .style = one.style};
    for (const TriedRate& rate : one.choice->tried) {
      const std::optional<Interval> loss = mean_loss(rate);
      if (!loss || !rate.lr) continue;
      series.points.push_back({*rate.lr, loss->value, range_of(*loss)});
      rates.push_back(*rate.lr);
      values.push_back(loss->value);
    }
    if (!series.points.empty()) chart.series.push_back(std::move(series));
  }
  if (chart.series.empty()) return std::nullopt;
  chart.x = axis_over(rates, "learning rate", Scale::log10);
  const auto [least, most] = std::ranges::minmax(values);
  const bool is_wide = least > 0 && most > 10 * least;
  chart.y = axis_over(values, "validation loss (nats a token)", is_wide ? Scale::log10 : Scale::linear);
  return chart;
}

}  // namespace

Section rate_section(const Results& results) {
  Section section{.id = "rates",
                  .title = "Learning rates",
                  .how_to_fill = "mdnlab run FILE.yaml, with `train.lr: [1e-3, 3e-3, 1e-2]` in its sweep"};
  std::size_t number = 0;
  for (const std::vector<const Choice*>& all : by_sweep(results)) {
    std::vector<const Choice*> choices;
    std::ranges::copy_if(all, std::back_inserter(choices),
                         [](const Choice* choice) { return !choice->tried.empty(); });
    if (choices.empty()) continue;
    Figure figure{
        .file = "rates_" + std::to_string(++number),
        .title = sweep_name(*choices[0]),
        .about =
            std::string("Validation loss at the end of training, means over seeds that did not diverge. In "
                        "all other figures each choice stands at the rate that the table calls chosen: that "
                        "of fewest diverged seeds, then of least loss. ") +
            shown_words,
        .queries = {"runs"}};
    figure.table.columns = {{"rule"},
                            {"options"},
                            {"lr", Kind::number},
                            {"valid_loss_nats", Kind::estimate},
                            {"seeds", Kind::number},
                            {"diverged", Kind::number},
                            {"chosen"}};
    for (const Choice* choice : choices) {
      for (const TriedRate& rate : choice->tried) {
        const auto seeds = static_cast<std::int64_t>(rate.valid_losses.size()) + rate.diverged;
        figure.table.rows.push_back({words(choice->rule), words(choice->options),
                                     words(rate.lr ? rate_text(*rate.lr) : ""), estimate(mean_loss(rate), 4),
                                     count(seeds), count(rate.diverged),
                                     words(choice->lr == rate.lr ? "chosen" : "")});
      }
    }
    const std::vector<Shown> drawn = shown(results, choices);
    if (const std::optional<LineChart> chart = losses(drawn)) {
      figure.panels.push_back({"", line_chart(*chart)});
      figure.legend = legend_of(drawn);
    }
    section.figures.push_back(std::move(figure));
  }
  return section;
}

}  // namespace mdnlab
