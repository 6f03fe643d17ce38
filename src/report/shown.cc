#include "report/shown.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace mdnlab {

const char* const shown_words =
    "Where a rule has several choices of options, the figure draws the one of the state nearest to 64 KiB; the table "
    "has all.";

std::vector<Shown> shown(const Results& results, const std::vector<const Choice*>& choices) {
  std::map<std::string, const Choice*> of_rule;
  const auto distance = [](const Choice* choice) {
    return std::abs(std::log2(std::max(1.0, static_cast<double>(choice->state_bytes)) / usual_state_bytes));
  };
  for (const Choice* choice : choices) {
    const auto [at, is_new] = of_rule.emplace(choice->rule, choice);
    if (!is_new && distance(choice) < distance(at->second)) at->second = choice;
  }
  std::vector<Shown> list;
  if (of_rule.size() == 1) {
    for (std::size_t i = 0; i < std::min(choices.size(), most_lines); ++i)
      list.push_back(
          {choices[i], choices[i]->name(), choices.size() == 1 ? results.styles.at(choices[i]->rule) : i});
    return list;
  }
  for (const auto& [rule, choice] : of_rule)
    list.push_back({choice, choice->name(), results.styles.at(rule)});
  return list;
}

std::vector<LegendEntry> legend_of(const std::vector<Shown>& shown) {
  std::vector<LegendEntry> legend;
  for (const Shown& one : shown) legend.push_back({one.name, one.style});
  return legend;
}

std::vector<std::vector<const Choice*>> by_sweep(const Results& results) {
  std::vector<std::vector<const Choice*>> sweeps;
  for (const Choice& choice : results.choices) {
    if (sweeps.empty() || sweeps.back()[0]->sweep != choice.sweep || sweeps.back()[0]->task != choice.task)
      sweeps.emplace_back();
    sweeps.back().push_back(&choice);
  }
  return sweeps;
}

std::string sweep_name(const Choice& choice) {
  return choice.runs.empty() ? "Models from elsewhere" : choice.sweep + ", trained on " + choice.task;
}

}  // namespace mdnlab
