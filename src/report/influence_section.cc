// How much of an earlier value an output of a trained model still holds.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "base/text.h"
#include "report/chart.h"
#include "report/sections.h"
#include "report/shown.h"

namespace mdnlab {

namespace {

using Kind = Grid::Kind;
using Choices = std::vector<const Choice*>;

constexpr std::size_t most_maps = 12;  // of one sweep
constexpr double least_share = 1e-6;   // of the largest influence: what is less is as good as gone

// One score of a choice.
struct Held {
  const Choice* choice;
  std::string data;                       // the text's name; "": what the model was trained on
  std::int64_t length, lag, layer, head;  // layer and head −1: of all
  Interval interval;
  const Answer* answer;
};

// Measured twice in one text, or twice in sequences of the training, the one of more items counts.
std::vector<Held> held(const Results& results, const Choices& choices, const char* metric) {
  using Place = std::tuple<std::string, std::int64_t, std::int64_t, std::int64_t, std::int64_t>;  // … lag
  std::vector<Held> list;
  for (const Choice* choice : choices) {
    std::map<Place, Held> all;
    for (const auto& [question, answer] : choice->answers) {
      if (question.metric != metric) continue;
      const auto number = [&](const char* name) {
        const auto value = question.setting(name);
        return value.is_number() ? value.get<std::int64_t>() : -1;
      };
      const std::optional<Interval> interval = interval_of(answer);
      if (number("lag") < 0 || !interval) continue;
      const Held one{.choice = choice,
                     .data = results.data_file(question),
                     .length = question.length.value_or(0),
                     .lag = number("lag"),
                     .layer = number("layer"),
                     .head = number("head"),
                     .interval = *interval,
                     .answer = &answer};
      const auto [place, is_new] = all.try_emplace({one.data, one.length, one.layer, one.head, one.lag}, one);
      if (!is_new && answer.items > place->second.answer->items) place->second = one;
    }
    for (const auto& [place, one] : all) list.push_back(one);
  }
  return list;
}

void add_row(const Held& one, bool by_head, Grid& table) {
  std::vector<Cell> row{words(one.choice->rule), words(one.choice->options), words(one.data),
                        one.length == 0 ? words("") : count(one.length)};
  if (by_head) row.insert(row.end(), {count(one.layer), count(one.head)});
  row.insert(row.end(),
             {count(one.lag), estimate(one.interval, 5),
              count(static_cast<std::int64_t>(one.answer->seeds.size())), count(one.answer->items)});
  table.rows.push_back(std::move(row));
}

using Read = std::pair<std::string, std::int64_t>;  // data, length

std::string words_of(const Read& read) {
  const std::string tokens = read.second == 0 ? "" : grouped(read.second) + " tokens";
  return tokens + (tokens.empty() || read.first.empty() ? "" : ", ") + read.first;
}

Figure by_lag(const Results& results, const Choices& choices, const std::vector<Held>& all,
              std::size_t number) {
  Figure figure{.file = fmt::format("influence_{}", number),
                .title = sweep_name(*choices[0]),
                .about = std::string("o_t = Σ c(t,i) v_i exactly, for every rule that is linear in its "
                                     "values: the median of |c(t,i)| by lag t − i, over layers, heads and "
                                     "tokens; less than a millionth of the largest is not drawn. ") +
                         shown_words,
                .queries = {"runs", "scores"}};
  figure.table.columns = {{"rule"},
                          {"options"},
                          {"data"},
                          {"length_tokens", Kind::number},
                          {"lag", Kind::number},
                          {"influence", Kind::estimate},
                          {"seeds", Kind::number},
                          {"items", Kind::number}};
  std::map<Read, std::map<const Choice*, std::vector<Point>>> panels;
  double least = 0;
  for (const Held& one : all) least = std::max(least, least_share * one.interval.value);
  std::vector<double> lags, values;
  for (const Held& one : all) {
    add_row(one, false, figure.table);
    if (one.lag == 0 || one.interval.value <= least) continue;  // what a logarithm has no place for
    const double low = std::max(least, one.interval.low);
    std::optional<std::pair<double, double>> range = range_of(one.interval);
    if (range) range->first = low;
    panels[{one.data, one.length}][one.choice].push_back(
        {static_cast<double>(one.lag), one.interval.value, range});
    lags.push_back(static_cast<double>(one.lag));
    values.insert(values.end(), {low, one.interval.high});
  }
  const std::vector<Shown> drawn = shown(results, choices);
  for (const auto& [read, lines] : panels) {
    LineChart chart{.x = axis_over(lags, "lag t − i (tokens)", Scale::log2, Unit::tokens),
                    .y = axis_over(values, "median of |c(t,i)|", Scale::log10),
                    .series = {}};
    for (const Shown& one : drawn) {
      if (const auto line = lines.find(one.choice); line != lines.end())
        chart.series.push_back({one.name, one.style, line->second});
    }
    if (!chart.series.empty()) figure.panels.push_back({words_of(read), line_chart(chart)});
  }
  for (const Shown& one : drawn) {
    if (std::ranges::any_of(panels, [&](const auto& panel) { return panel.second.contains(one.choice); }))
      figure.legend.push_back({one.name, one.style});
  }
  return figure;
}

HeatMap map_of(const std::vector<const Held*>& cells) {
  std::set<std::int64_t> lags;
  std::map<std::pair<std::int64_t, std::int64_t>, std::map<std::int64_t, double>> heads;
  for (const Held* one : cells) {
    lags.insert(one->lag);
    heads[{one->layer, one->head}][one->lag] = one->interval.value;
  }
  HeatMap map{.x_label = "lag t − i (tokens)", .y_label = "layer.head"};
  for (const std::int64_t lag : lags) map.columns.push_back(grouped(lag));
  for (const auto& [place, values] : heads) {
    map.rows.push_back(fmt::format("{}.{}", place.first, place.second));
    double largest = 0;
    for (const auto& [lag, value] : values) largest = std::max(largest, value);
    for (const std::int64_t lag : lags) {
      const auto value = values.find(lag);
      map.values.push_back(value == values.end() ? NAN : largest > 0 ? value->second / largest : 0);
    }
  }
  return map;
}

Figure by_head(const Results& results, const Choices& choices, const std::vector<Held>& all,
               std::size_t number) {
  Figure figure{
      .file = fmt::format("head_influence_{}", number),
      .title = "By head. " + sweep_name(*choices[0]),
      .about =
          std::string("The median of |c(t,i)| of each layer and head, as a share of what it is at the lag "
                      "where that head's is largest; the table has the numbers themselves. ") +
          shown_words,
      .queries = {"runs", "scores"}};
  figure.table.columns = {{"rule"},
                          {"options"},
                          {"data"},
                          {"length_tokens", Kind::number},
                          {"layer", Kind::number},
                          {"head", Kind::number},
                          {"lag", Kind::number},
                          {"influence", Kind::estimate},
                          {"seeds", Kind::number},
                          {"items", Kind::number}};
  std::set<Read> reads;
  for (const Held& one : all) {
    add_row(one, true, figure.table);
    reads.insert({one.data, one.length});
  }
  for (const Read& read : reads) {
    for (const Shown& one : shown(results, choices)) {
      std::vector<const Held*> cells;
      for (const Held& value : all) {
        if (value.choice == one.choice && Read(value.data, value.length) == read) cells.push_back(&value);
      }
      if (cells.empty() || figure.panels.size() == most_maps) continue;
      figure.panels.push_back(
          {one.name + (reads.size() > 1 ? ", " + words_of(read) : ""), heat_map(map_of(cells))});
    }
  }
  return figure;
}

}  // namespace

Section influence_section(const Results& results) {
  Section section{
      .id = "influence", .title = "Influence", .how_to_fill = "mdnlab eval MODEL --task influence"};
  std::size_t number = 0;
  for (const Choices& choices : by_sweep(results)) {
    ++number;
    if (const auto all = held(results, choices, "influence"); !all.empty())
      section.figures.push_back(by_lag(results, choices, all, number));
    if (const auto all = held(results, choices, "head_influence"); !all.empty())
      section.figures.push_back(by_head(results, choices, all, number));
  }
  return section;
}

}  // namespace mdnlab
