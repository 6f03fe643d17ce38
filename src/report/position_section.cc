// Perplexity against position, past the training length too.
#include <algorithm>
#include <map>
#include <tuple>

#include "base/text.h"
#include "report/chart.h"
#include "report/sections.h"
#include "report/settings.h"
#include "report/shown.h"

namespace mdnlab {

namespace {

using Kind = Grid::Kind;

constexpr std::string_view axes[] = {"position_from", "position_to"};

struct Bucket {
  std::int64_t from = 0, to = 0;
};

std::optional<Bucket> bucket_of(const Question& question) {
  if (question.metric != "perplexity") return std::nullopt;
  const auto from = question.setting("position_from"), to = question.setting("position_to");
  if (!from.is_number() || !to.is_number()) return std::nullopt;
  return Bucket{from.get<std::int64_t>(), to.get<std::int64_t>()};
}

}  // namespace

Section position_section(const Results& results) {
  Section section{.id = "position",
                  .title = "Perplexity against position",
                  .how_to_fill = "mdnlab eval MODEL --task perplexity_by_position"};
  std::size_t number = 0;
  for (const std::vector<const Choice*>& choices : by_sweep(results)) {
    Figure figure{.file = "position_" + std::to_string(++number),
                  .title = sweep_name(*choices[0]),
                  .about = std::string("Perplexity of the tokens of each part of a sequence. ") + shown_words,
                  .queries = {"runs", "scores"}};
    figure.table.columns = {{"rule"},
                            {"options"},
                            {"task"},
                            {"length_tokens", Kind::number},
                            {"settings"},
                            {"position_from", Kind::number},
                            {"position_to", Kind::number},
                            {"perplexity", Kind::estimate},
                            {"seeds", Kind::number},
                            {"tokens", Kind::number}};
    // Of one task and length, what else tells readings of a text apart: a panel each.
    std::map<std::pair<std::string, std::int64_t>, std::vector<const Question*>> read;
    std::map<const Question*, Bucket> buckets;
    for (const Choice* choice : choices) {
      for (const auto& [question, answer] : choice->answers) {
        const std::optional<Bucket> bucket = bucket_of(question);
        if (!bucket) continue;
        buckets.emplace(&question, *bucket);
        read[{question.task, question.length.value_or(0)}].push_back(&question);
      }
    }
    std::map<const Question*, std::string> settings;
    for (const auto& [of, questions] : read) settings.merge(tell_apart(results, questions, axes).own);
    const std::vector<Shown> drawn = shown(results, choices);
    struct Lines {
      std::map<const Choice*, std::vector<Point>> lines;
      std::vector<double> x, y;
    };
    std::map<std::tuple<std::string, std::int64_t, std::string>, Lines> panels;
    for (const Choice* choice : choices) {
      std::map<std::tuple<std::string, std::int64_t, std::string, std::int64_t>, const Question*> in_order;
      for (const auto& [question, answer] : choice->answers) {
        if (const auto bucket = buckets.find(&question); bucket != buckets.end())
          in_order.emplace(std::tuple(question.task, question.length.value_or(0), settings.at(&question),
                                      bucket->second.from),
                           &question);
      }
      for (const auto& [place, in_place] : in_order) {
        const Question& question = *in_place;
        const Answer& answer = choice->answers.at(question);
        const Bucket& bucket = buckets.at(&question);
        const std::optional<Interval> interval = interval_of(answer);
        if (!interval) continue;
        figure.table.rows.push_back({words(choice->rule), words(choice->options), words(question.task),
                                     count(question.length.value_or(0)), words(settings.at(&question)),
                                     count(bucket.from), count(bucket.to), estimate(interval, 3),
                                     count(static_cast<std::int64_t>(answer.seeds.size())),
                                     count(answer.items)});
        Lines& panel = panels[{question.task, question.length.value_or(0), settings.at(&question)}];
        panel.lines[choice].push_back({static_cast<double>(bucket.to), interval->value, range_of(*interval)});
        const bool is_drawn =
            std::ranges::any_of(drawn, [&](const Shown& one) { return one.choice == choice; });
        if (!is_drawn) continue;
        panel.x.push_back(static_cast<double>(bucket.to));
        panel.y.insert(panel.y.end(), {interval->low, interval->high});
      }
    }
    for (auto& [of, panel] : panels) {
      LineChart chart{.x = axis_over(panel.x, "position in the sequence (tokens, end of the part)",
                                     Scale::linear, Unit::tokens, true),
                      .y = axis_over(panel.y, "perplexity"),
                      .series = {}};
      for (const Shown& one : drawn) {
        const auto line = panel.lines.find(one.choice);
        if (line == panel.lines.end() || line->second.size() < 2) continue;
        std::ranges::sort(line->second, {}, &Point::x);
        chart.series.push_back({one.name, one.style, line->second});
      }
      if (!chart.series.empty())
        figure.panels.push_back({std::get<0>(of) + ", " + grouped(std::get<1>(of)) + " tokens" +
                                     (std::get<2>(of).empty() ? "" : ", " + std::get<2>(of)),
                                 line_chart(chart)});
    }
    if (figure.panels.empty()) continue;
    figure.legend = legend_of(drawn);
    section.figures.push_back(std::move(figure));
  }
  return section;
}

}  // namespace mdnlab
