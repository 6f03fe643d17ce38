// Which rule is best, with intervals; and what differs from the best beyond chance.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>

#include "report/retention_scores.h"
#include "report/sections.h"
#include "report/shown.h"
#include "statistics/holm.h"

namespace mdnlab {

namespace {

constexpr const char* how_numbers_are_made =
    "Means over seeds; below them the 95 % interval of a bootstrap over seeds and items, of a single seed over its items, "
    "and n, the items of one seed. "
    "A diverged seed counts as 0 where more is better, is left out where less is better, and is listed under Failures. "
    "Of several learning rates the one of least validation loss stands, here and everywhere below. retention "
    "is RET with the fewest writes in between, retention_over_writes its mean over all numbers of them. Attention's "
    "retention is a ceiling at the state of its cache and is not ranked.";

// A headline, or one for each file that its task was asked on: a mean over two texts is of neither.
std::vector<Composite> by_data(const Results& results, const std::vector<const Choice*>& choices,
                               const Composite& composite) {
  std::map<std::string, std::string> digests;  // by name
  for (const Choice* choice : choices) {
    for (const auto& [question, answer] : choice->answers) {
      if (answer.seeds.empty() || !composite.takes(question)) continue;
      const std::string digest = question.data_digest(), name = results.data_name(question);
      digests.emplace(name.empty() ? digest.substr(0, 8) : name, digest);
    }
  }
  if (digests.size() < 2) return std::vector(digests.size(), composite);
  std::vector<Composite> composites;
  for (const auto& [name, digest] : digests) {
    Composite one = composite;
    if (!name.empty()) one.name = name + ": " + one.name;
    one.takes = [takes = composite.takes, digest = digest](const Question& question) {
      return takes(question) && question.data_digest() == digest;
    };
    composites.push_back(std::move(one));
  }
  return composites;
}

// What the choices of one sweep can be ranked by.
std::vector<Composite> composites_of(const Results& results, const std::vector<const Choice*>& choices) {
  std::vector<Composite> composites;
  for (const Choice* choice : choices) {
    const std::vector<RetentionSetting> settings = retention_settings(*choice);
    if (settings.empty()) continue;
    if (settings.size() > 1) composites.push_back(crossed_retention_composite(settings));
    composites.push_back(retention_composite(settings[0]));
    break;
  }
  for (const Composite& composite : headlines()) {
    std::ranges::move(by_data(results, choices, composite), std::back_inserter(composites));
  }
  return composites;
}

// Attention's retention is told as the ceiling, and not ranked.
bool is_ceiling(std::span<const Composite> composites, const Choice& choice) {
  return choice.rule == ceiling_rule && !composites.empty() && composites[0].name.starts_with("retention");
}

std::optional<double> mean_speed(const Choice& choice) {
  double sum = 0, count = 0;
  for (const ReportedRun& run : choice.runs) {
    if (!run.tokens_per_second) continue;
    sum += *run.tokens_per_second;
    ++count;
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

Cell rate(const Choice& choice) {
  if (!choice.lr) return words("");
  Cell cell = words(rate_text(*choice.lr));
  if (!choice.tried.empty()) cell.shown += " of " + std::to_string(choice.tried.size());
  return cell;
}

std::int64_t items_of(const Composite& composite, const Choice& choice) {
  std::int64_t items = 0;
  for (const auto& [question, answer] : choice.answers) items += composite.takes(question) ? answer.items : 0;
  return items;
}

Figure table_of(const Results& results, const std::vector<const Choice*>& choices, std::size_t number) {
  const std::vector<Composite> composites = composites_of(results, choices);
  Figure figure{.file = "leaderboard_" + std::to_string(number),
                .title = sweep_name(*choices[0]),
                .about = how_numbers_are_made,
                .queries = {"runs", "scores"}};
  Grid& grid = figure.table;
  grid.columns = {{"rule"}, {"options"}};
  for (const Composite& composite : composites) {
    grid.columns.push_back({composite.name, Grid::Kind::estimate});
    grid.columns.push_back({composite.name + "_items", Grid::Kind::number, true});
  }
  for (const char* name :
       {"seeds", "diverged", "lr", "parameters", "state_bytes", "train_tokens", "tokens_per_second"})
    grid.columns.push_back({name, Grid::Kind::number});
  struct Ranked {
    double value;
    std::vector<Cell> row;
  };
  std::vector<Ranked> ranked;
  for (const Choice* choice : choices) {
    std::vector<Cell> row{words(choice->rule), words(choice->options)};
    double value = INFINITY;  // what is not measured comes last
    for (const Composite& composite : composites) {
      const std::optional<Interval> interval = interval_of(composite, *choice);
      if (&composite == &composites[0] && interval)
        value = composite.more_is_better ? -interval->value : interval->value;
      Cell& cell = row.emplace_back(estimate(interval, composite.places));
      const Cell items = interval ? count(items_of(composite, *choice)) : real(std::nullopt, 0);
      if (interval) cell.range += (cell.range.empty() ? "n " : ", n ") + items.shown;
      row.push_back(items);
    }
    if (is_ceiling(composites, *choice)) value = INFINITY;
    row.push_back(count(choice->seeds()));
    row.push_back(count(choice->diverged()));
    row.push_back(rate(*choice));
    row.push_back(count(choice->parameters));
    row.push_back(bytes_cell(static_cast<double>(choice->state_bytes)));
    row.push_back(count(choice->train_tokens));
    row.push_back(real(mean_speed(*choice), 0));
    ranked.push_back({value, std::move(row)});
  }
  std::ranges::stable_sort(ranked, {}, &Ranked::value);
  for (Ranked& entry : ranked) grid.rows.push_back(std::move(entry.row));
  return figure;
}

// Each choice against the best one of its sweep; corrected within the sweep and number.
void add_differences(const std::vector<const Choice*>& choices, const Composite& composite, Grid& grid) {
  const Choice* best = nullptr;
  double best_value = 0;
  const auto is_ranked = [&](const Choice* choice) { return !is_ceiling({&composite, 1}, *choice); };
  for (const Choice* choice : choices) {
    const std::vector<double> values = seed_values(composite, *choice);
    if (values.empty() || !is_ranked(choice)) continue;
    double sum = 0;
    for (const double value : values) sum += value;
    const double value = (composite.more_is_better ? 1 : -1) * sum / static_cast<double>(values.size());
    if (best != nullptr && value <= best_value) continue;
    best = choice;
    best_value = value;
  }
  if (best == nullptr) return;
  std::vector<const Choice*> others;
  std::vector<Compared> compared;
  std::vector<double> p;
  for (const Choice* choice : choices) {
    const std::optional<Compared> one =
        choice == best || !is_ranked(choice) ? std::nullopt : compare(composite, *choice, *best);
    if (!one) continue;
    others.push_back(choice);
    compared.push_back(*one);
    p.push_back(one->difference.p);
  }
  const std::vector<double> corrected = holm(p);
  for (std::size_t i = 0; i < others.size(); ++i) {
    grid.rows.push_back({words(best->sweep), words(heading(composite.name)), words(others[i]->name()),
                         words(best->name()), estimate(compared[i].difference.interval, composite.places),
                         real(p[i], 4), real(corrected[i], 4), count(compared[i].seeds),
                         count(compared[i].items)});
  }
}

Figure differences(const Results& results, const std::vector<std::vector<const Choice*>>& sweeps) {
  Figure figure{.file = "differences",
                .title = "What differs from the best",
                .about =
                    "Each choice less the best of its sweep, on identical items, with a two-sided p of the "
                    "bootstrap, as it is and corrected by Holm's method within sweep and number.",
                .queries = {"runs", "scores"}};
  figure.table.columns = {{"sweep"},
                          {"number"},
                          {"choice"},
                          {"best"},
                          {"difference", Grid::Kind::estimate},
                          {"p", Grid::Kind::number},
                          {"p_holm", Grid::Kind::number},
                          {"seeds", Grid::Kind::number},
                          {"items", Grid::Kind::number}};
  for (const auto& choices : sweeps) {
    for (const Composite& composite : composites_of(results, choices))
      add_differences(choices, composite, figure.table);
  }
  return figure;
}

}  // namespace

Section leaderboard_section(const Results& results) {
  Section section{.id = "leaderboard",
                  .title = "Leaderboard",
                  .how_to_fill = "mdnlab run experiments/quickstart.yaml --jobs 2"};
  const auto sweeps = by_sweep(results);
  for (const auto& choices : sweeps)
    section.figures.push_back(table_of(results, choices, section.figures.size() + 1));
  if (Figure apart = differences(results, sweeps); !apart.table.rows.empty())
    section.figures.push_back(std::move(apart));
  return section;
}

}  // namespace mdnlab
