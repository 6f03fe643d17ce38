// Needles by length and depth.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/text.h"
#include "report/chart.h"
#include "report/sections.h"
#include "report/settings.h"
#include "report/shown.h"

namespace mdnlab {

namespace {

using Kind = Grid::Kind;

constexpr std::size_t most_maps = 12;  // of one task and sweep

struct Asked {
  std::string task, variant, settings;  // settings: what else tells it from others
  auto operator<=>(const Asked&) const = default;
};

using AskedBy = std::map<const Question*, Asked>;

std::string variant_of(const Question& question) {
  const auto variant = question.setting("variant");
  return variant.is_string() ? variant.get<std::string>() : "";
}

bool is_needle(const Question& question) {
  return question.depth && question.length && question.metric == "accuracy";
}

AskedBy asked_by(const Results& results, const std::vector<const Choice*>& choices) {
  std::map<std::pair<std::string, std::string>, std::vector<const Question*>> of_variant;
  for (const Choice* choice : choices) {
    for (const auto& [question, answer] : choice->answers) {
      if (is_needle(question)) of_variant[{question.task, variant_of(question)}].push_back(&question);
    }
  }
  AskedBy asked;
  for (const auto& [of, questions] : of_variant) {
    for (auto& [question, settings] : tell_apart(results, questions).own)
      asked.emplace(question, Asked{of.first, of.second, std::move(settings)});
  }
  return asked;
}

HeatMap map_of(const Choice& choice, const AskedBy& by, const Asked& asked) {
  std::map<std::pair<std::int64_t, double>, double> cells;
  std::set<std::int64_t> lengths;
  std::set<double> depths;
  for (const auto& [question, answer] : choice.answers) {
    if (!is_needle(question) || by.at(&question) != asked || answer.seeds.empty()) continue;
    double sum = 0;
    for (const Measured& seed : answer.seeds) sum += seed.value;
    cells[{*question.length, *question.depth}] = sum / static_cast<double>(answer.seeds.size());
    lengths.insert(*question.length);
    depths.insert(*question.depth);
  }
  HeatMap map{.x_label = "context (tokens)", .y_label = "depth (0 oldest)"};
  for (const std::int64_t length : lengths) map.columns.push_back(grouped(length));
  for (const double depth : depths) {
    map.rows.push_back(shortest(std::round(depth * 1000) / 1000));
    for (const std::int64_t length : lengths) {
      const auto cell = cells.find({length, depth});
      map.values.push_back(cell == cells.end() ? NAN : cell->second);
    }
  }
  return map;
}

}  // namespace

Section needle_section(const Results& results) {
  Section section{
      .id = "needles", .title = "Needles in a haystack", .how_to_fill = "mdnlab run experiments/needle.yaml"};
  std::size_t number = 0;
  for (const std::vector<const Choice*>& choices : by_sweep(results)) {
    const AskedBy by = asked_by(results, choices);
    std::set<Asked> all;
    for (const auto& [question, asked] : by) all.insert(asked);
    for (const Asked& asked : all) {
      Figure figure{
          .file = "needles_" + std::to_string(++number),
          .title = asked.task + (asked.variant.empty() ? "" : " " + asked.variant) +
                   (asked.settings.empty() ? "" : ", " + asked.settings) + ". " + sweep_name(*choices[0]),
          .about =
              std::string("Accuracy, 0 to 1, mean over seeds, by tokens of context and depth of the wanted "
                          "item. ") +
              shown_words,
          .queries = {"runs", "scores"}};
      figure.table.columns = {{"rule"},
                              {"options"},
                              {"length_tokens", Kind::number},
                              {"depth", Kind::number},
                              {"accuracy", Kind::estimate},
                              {"seeds", Kind::number},
                              {"items", Kind::number}};
      for (const Shown& one : shown(results, choices)) {
        const HeatMap map = map_of(*one.choice, by, asked);
        if (!map.values.empty() && figure.panels.size() < most_maps)
          figure.panels.push_back({one.name, heat_map(map)});
      }
      for (const Choice* choice : choices) {
        for (const auto& [question, answer] : choice->answers) {
          if (!is_needle(question) || by.at(&question) != asked) continue;
          figure.table.rows.push_back({words(choice->rule), words(choice->options), count(*question.length),
                                       real(*question.depth, 2), estimate(interval_of(answer), 3),
                                       count(static_cast<std::int64_t>(answer.seeds.size())),
                                       count(answer.items)});
        }
      }
      section.figures.push_back(std::move(figure));
    }
  }
  return section;
}

}  // namespace mdnlab
