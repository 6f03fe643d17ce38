// Every score that has no figure of its own: one table a task.
#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "base/text.h"
#include "report/sections.h"
#include "report/shown.h"

namespace mdnlab {

namespace {

using Kind = Grid::Kind;

bool has_a_figure(const Question& question) {
  const bool is_needle = question.depth && question.length && question.metric == "accuracy";
  return is_needle || question.task == "retention" || question.task == "influence" ||
         !question.setting("position_from").is_null();
}

// One row to be.
struct Told {
  const Choice& choice;
  const Question& question;
  const Answer& answer;
};

using Settings = std::map<std::string, std::string>;

// Without what says where and by which program it was asked, and `chance`, a column of its own.
Settings settings_of(const Question& question) {
  static constexpr std::array<std::string_view, 5> left_out{"version", "data_digest", "dtype", "device",
                                                            "chance"};
  Settings settings;
  const auto all = nlohmann::json::parse(question.settings, nullptr, false);
  for (const auto& [name, value] : all.items()) {
    if (std::ranges::find(left_out, name) == left_out.end() && !value.is_null())
      settings[name] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  return settings;
}

std::string text_of(const Settings& settings) {
  std::vector<std::string> words;
  for (const auto& [name, value] : settings) words.push_back(name + "=" + value);
  return join(words, ", ");
}

// Those that every score of a task has alike.
Settings common_settings(const std::vector<Told>& scores) {
  Settings common = settings_of(scores[0].question);
  for (const Told& score : scores) {
    const Settings other = settings_of(score.question);
    std::erase_if(common, [&](const auto& setting) {
      const auto found = other.find(setting.first);
      return found == other.end() || found->second != setting.second;
    });
  }
  return common;
}

// In one row, what tells it from others.
std::string own_settings(const Question& question, const Settings& common) {
  Settings own = settings_of(question);
  std::erase_if(own, [&](const auto& setting) { return common.contains(setting.first); });
  return text_of(own);
}

}  // namespace

Section scores_section(const Results& results) {
  Section section{.id = "scores", .title = "Other scores", .how_to_fill = "mdnlab eval MODEL --task choice"};
  std::map<std::string, std::vector<Told>> tasks;
  for (const Choice& choice : results.choices) {
    for (const auto& [question, answer] : choice.answers) {
      if (!has_a_figure(question) && interval_of(answer))
        tasks[question.task].push_back({choice, question, answer});
    }
  }
  for (const auto& [task, scores] : tasks) {
    const Settings common = common_settings(scores);
    Figure figure{.file = "scores_" + std::to_string(section.figures.size() + 1),
                  .title = task,
                  .about = "Means over seeds with 95 % intervals; chance is what guessing scores.",
                  .queries = {"runs", "scores"}};
    if (!common.empty()) figure.about += " All with " + text_of(common) + ".";
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
    for (const auto& [choice, question, answer] : scores) {
      const auto chance = question.setting("chance");
      figure.table.rows.push_back(
          {words(choice.rule), words(choice.options), words(question.metric),
           estimate(interval_of(answer), 4),
           real(chance.is_number() ? std::optional(chance.get<double>()) : std::nullopt, 3),
           question.length ? count(*question.length) : words(""), words(own_settings(question, common)),
           words(question.settings), count(static_cast<std::int64_t>(answer.seeds.size())),
           count(answer.items), words(choice.sweep)});
    }
    section.figures.push_back(std::move(figure));
  }
  return section;
}

}  // namespace mdnlab
