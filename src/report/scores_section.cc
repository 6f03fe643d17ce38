// Every score that no other section draws: one figure and table a task.
#include <algorithm>
#include <map>
#include <string_view>

#include "base/text.h"
#include "report/chart.h"
#include "report/sections.h"
#include "report/settings.h"
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
  Interval interval;
};

// The length says it.
constexpr std::string_view axes[] = {"length_factor"};

constexpr std::size_t most_rows = 24;  // of a panel; the table has all

// Digits by the number that they make: pairs=4 stands before pairs=16.
std::string in_order(const std::string& text) {
  std::string padded, digits;
  for (const char letter : text + " ") {
    if (letter >= '0' && letter <= '9') {
      digits += letter;
      continue;
    }
    if (!digits.empty()) padded += std::string(20 - std::min<std::size_t>(20, digits.size()), '0') + digits;
    digits.clear();
    padded += letter;
  }
  return padded;
}

// A panel for each sweep and metric: a row for each length and setting, a mark for each rule.
void draw(const Results& results, const std::vector<Told>& scores, const ToldApart& apart, Figure& figure) {
  const std::vector<std::vector<const Choice*>> sweeps = by_sweep(results);
  for (const std::vector<const Choice*>& sweep : sweeps) {
    std::map<std::string, std::map<std::pair<std::int64_t, std::string>, DotChart::Row>> panels;  // by metric
    for (const Shown& one : shown(results, sweep)) {
      for (const Told& score : scores) {
        if (&score.choice != one.choice) continue;
        const std::int64_t length = score.question.length.value_or(0);
        const std::string& settings = apart.own.at(&score.question);
        DotChart::Row& row = panels[score.question.metric][{length, in_order(settings)}];
        row.label = (length > 0 ? grouped(length) + " tokens" : "") +
                    (length > 0 && !settings.empty() ? ", " : "") + settings;
        row.dots.push_back({.name = one.name,
                            .style = one.style,
                            .value = score.interval.value,
                            .range = range_of(score.interval)});
        if (std::ranges::find(figure.legend, one.name, &LegendEntry::name) == figure.legend.end())
          figure.legend.push_back({one.name, one.style});
      }
    }
    for (const auto& [metric, rows] : panels) {
      DotChart chart{.x_label = metric, .scale = Scale::linear};
      if (metric.find("perplexity") != std::string::npos) chart.scale = Scale::log10;
      for (const auto& [place, row] : rows) {
        if (chart.rows.size() < most_rows) chart.rows.push_back(row);
      }
      const bool is_one_of_several = std::ranges::any_of(
          scores, [&](const Told& score) { return score.choice.sweep != sweep[0]->sweep; });
      figure.panels.push_back({is_one_of_several ? sweep_name(*sweep[0]) : "", dot_chart(chart)});
    }
  }
}

}  // namespace

Section scores_section(const Results& results) {
  Section section{.id = "scores", .title = "Other scores", .how_to_fill = "mdnlab eval MODEL --task choice"};
  std::map<std::string, std::vector<Told>> tasks;
  for (const Choice& choice : results.choices) {
    for (const auto& [question, answer] : choice.answers) {
      const std::optional<Interval> interval = interval_of(answer);
      if (!has_a_figure(question) && interval)
        tasks[question.task].push_back({choice, question, answer, *interval});
    }
  }
  for (const auto& [task, scores] : tasks) {
    std::vector<const Question*> questions;
    for (const Told& score : scores) questions.push_back(&score.question);
    const ToldApart apart = tell_apart(results, questions, axes);
    Figure figure{
        .file = "scores_" + std::to_string(section.figures.size() + 1),
        .title = task,
        .about = std::string("Means over seeds with 95 % intervals; chance is what guessing scores. ") +
                 shown_words,
        .queries = {"runs", "scores"}};
    if (!apart.common.empty()) figure.about += " All with " + apart.common + ".";
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
    draw(results, scores, apart, figure);
    for (const Told& score : scores) {
      const auto& [choice, question, answer, interval] = score;
      const auto chance = question.setting("chance");
      figure.table.rows.push_back(
          {words(choice.rule), words(choice.options), words(question.metric), estimate(interval, 4),
           real(chance.is_number() ? std::optional(chance.get<double>()) : std::nullopt, 3),
           question.length ? count(*question.length) : words(""), words(apart.own.at(&question)),
           words(question.settings), count(static_cast<std::int64_t>(answer.seeds.size())),
           count(answer.items), words(choice.sweep)});
    }
    section.figures.push_back(std::move(figure));
  }
  return section;
}

}  // namespace mdnlab
