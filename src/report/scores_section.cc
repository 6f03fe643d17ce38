// Every score that has no figure of its own: one table a task.
#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "report/sections.h"
#include "report/shown.h"

namespace mdnlab {

namespace {

using Kind = Grid::Kind;

bool has_a_figure(const Question& question) {
  const bool is_needle = question.depth && question.length && question.metric == "accuracy";
  return is_needle || question.task == "retention" || question.metric == "influence" ||
         !question.setting("position_from").is_null();
}

// What people tell scores apart by; the rest, which is the same for all, stands in CSV.
std::string told_settings(const Question& question) {
  static constexpr std::array<std::string_view, 5> same{"version", "data_digest", "dtype", "device",
                                                        "chance"};
  std::string text;
  const auto settings = nlohmann::json::parse(question.settings, nullptr, false);
  for (const auto& [name, value] : settings.items()) {
    if (std::ranges::find(same, name) != same.end()) continue;
    text += (text.empty() ? "" : ", ") + name + "=" +
            (value.is_string() ? value.get<std::string>() : value.dump());
  }
  return text;
}

}  // namespace

Section scores_section(const Results& results) {
  Section section{.id = "scores", .title = "Other scores", .how_to_fill = "mdnlab eval MODEL --task choice"};
  std::map<std::string, Figure> tasks;
  for (const Choice& choice : results.choices) {
    for (const auto& [question, answer] : choice.answers) {
      const std::optional<Interval> interval = interval_of(answer);
      if (!interval || has_a_figure(question)) continue;
      Figure& figure = tasks[question.task];
      const auto chance = question.setting("chance");
      figure.table.rows.push_back(
          {words(choice.rule), words(choice.options), words(question.metric), estimate(interval, 4),
           real(chance.is_number() ? std::optional(chance.get<double>()) : std::nullopt, 3),
           question.length ? count(*question.length) : words(""), words(told_settings(question)),
           words(question.settings), count(static_cast<std::int64_t>(answer.seeds.size())),
           count(answer.items), words(choice.sweep)});
    }
  }
  for (auto& [task, figure] : tasks) {
    figure.file = "scores_" + std::to_string(section.figures.size() + 1);
    figure.title = task;
    figure.about = "Means over seeds with 95 % intervals; chance is what guessing scores.";
    figure.queries = {"runs", "scores"};
    figure.table.columns = {{"rule"},
                            {"options"},
                            {"metric"},
                            {"value", Kind::estimate},
                            {"chance", Kind::number},
                            {"length_tokens", Kind::number},
                            {"settings"},
                            {"all_settings", Kind::words, true},
                            {"seeds", Kind::number},
                            {"items", Kind::number},
                            {"sweep"}};
    section.figures.push_back(std::move(figure));
  }
  return section;
}

}  // namespace mdnlab
