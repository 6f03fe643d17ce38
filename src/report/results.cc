#include "report/results.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "store/named_query.h"

namespace mdnlab {

namespace {

// Draws of an interval: fewer where many items make each costly. 2.5 % of 400 are 10.
constexpr double draw_budget = 1e6;
constexpr int most_draws = 1000, least_draws = 400;

using Candidate =
    std::tuple<std::string, std::string, std::string, std::string>;  // sweep, task, rule, options

std::map<Candidate, std::map<std::optional<double>, Choice>> load_choices(Store& store) {
  std::map<Candidate, std::map<std::optional<double>, Choice>> choices;
  Statement row = store.sql().query(named_query("runs").sql);
  while (row.step()) {
    const Candidate candidate{row.text(2), row.text(4), row.text(3), row.text(5)};
    Choice& choice = choices[candidate][row.real_or_null(6)];
    choice.sweep = row.text(2);
    choice.rule = row.text(3);
    choice.task = row.text(4);
    choice.options = row.text(5);
    choice.lr = row.real_or_null(6);
    choice.parameters = row.integer(9);
    choice.state_bytes = row.integer(10);
    choice.train_tokens = row.integer(11);
    choice.context_tokens = row.integer(12);
    choice.runs.push_back({.id = row.integer(0),
                           .key = row.text(1),
                           .ended_at = row.text(15),
                           .seed = row.integer(7),
                           .is_diverged = row.text(8) == "diverged",
                           .valid_loss = row.real_or_null(13),
                           .tokens_per_second = row.real_or_null(14)});
  }
  return choices;
}

// Nothing where a seed has no validation loss to be chosen on.
std::optional<TriedRate> tried_rate(const Choice& choice) {
  TriedRate tried{.lr = choice.lr, .diverged = choice.diverged()};
  for (const ReportedRun& run : choice.runs) {
    if (run.is_diverged) continue;
    if (!run.valid_loss) return std::nullopt;
    tried.valid_losses.push_back({.value = *run.valid_loss});
  }
  return tried;
}

// Fewest diverged seeds, then least mean loss.
std::pair<std::int64_t, double> on_validation(const TriedRate& rate) {
  double sum = 0;
  for (const Measured& seed : rate.valid_losses) sum += seed.value;
  const auto seeds = static_cast<double>(rate.valid_losses.size());
  return {rate.diverged, seeds > 0 ? sum / seeds : INFINITY};
}

// Of the learning rates the one that validation prefers; all of them, named, where it cannot say.
void add_chosen(std::map<std::optional<double>, Choice>& rates, std::vector<Choice>& choices) {
  std::vector<TriedRate> tried;
  for (const auto& [lr, choice] : rates)
    if (std::optional<TriedRate> rate = tried_rate(choice)) tried.push_back(std::move(*rate));
  if (rates.size() > 1 && tried.size() == rates.size()) {
    const auto best = std::ranges::min_element(tried, {}, on_validation);
    Choice& chosen = rates.at(best->lr);
    chosen.tried = std::move(tried);
    choices.push_back(std::move(chosen));
    return;
  }
  for (auto& [lr, choice] : rates) {
    if (rates.size() > 1 && lr)
      choice.options += (choice.options.empty() ? "train.lr=" : ", train.lr=") + rate_text(*lr);
    choices.push_back(std::move(choice));
  }
}

// The items of every answer, in one pass over the table.
void load_items(Store& store, std::vector<Choice>& choices) {
  struct Scored {
    std::int64_t evaluation;
    Measured* measured;
  };
  std::vector<Scored> scored;
  for (Choice& choice : choices) {
    for (auto& [question, answer] : choice.answers) {
      for (std::size_t i = 0; i < answer.seeds.size(); ++i)
        scored.push_back({answer.evaluations[i], &answer.seeds[i]});
    }
  }
  std::ranges::sort(scored, {}, &Scored::evaluation);
  auto first = scored.begin();
  Statement row =
      store.sql().query("select evaluation_id, value from evaluation_item order by evaluation_id, item");
  while (row.step()) {
    const std::int64_t evaluation = row.integer(0);
    while (first != scored.end() && first->evaluation < evaluation) ++first;
    // A run of several sweeps is in a choice of each.
    for (auto at = first; at != scored.end() && at->evaluation == evaluation; ++at)
      at->measured->items.push_back(row.real(1));
  }
}

// Seeds that were asked different items, or whose items do not make up the number, stand with their standard
// error.
void check_items(Answer& answer) {
  std::size_t count = 0;
  bool is_alike = true;
  for (const Measured& seed : answer.seeds) {
    if (seed.items.empty()) continue;
    double sum = 0;
    for (const double item : seed.items) sum += item;
    is_alike = is_alike && (count == 0 || seed.items.size() == count) &&
               std::abs(sum / static_cast<double>(seed.items.size()) - seed.value) <=
                   1e-6 * (1 + std::abs(seed.value));
    count = seed.items.size();
  }
  if (is_alike) return;
  for (Measured& seed : answer.seeds) seed.items.clear();
}

void load_answers(Store& store, Results& results) {
  std::vector<Choice>& choices = results.choices;
  std::multimap<std::int64_t, std::size_t> choices_of_run;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    for (const ReportedRun& run : choices[i].runs) choices_of_run.emplace(run.id, i);
  }
  std::map<std::string, std::size_t> choice_of_model;
  Statement row = store.sql().query(named_query("scores").sql);
  while (row.step()) {
    constexpr int value = 10;
    if (row.is_null(value)) continue;  // not finite
    const Question question{.task = row.text(3),
                            .metric = row.text(4),
                            .length = row.integer_or_null(5),
                            .depth = row.real_or_null(6),
                            .settings = row.text(8)};
    if (const std::string name = std::filesystem::path(row.text(7)).filename().string(); !name.empty()) {
      const std::string digest = question.data_digest();
      if (!digest.empty()) results.data_files[question.task][digest] = name;
    }
    const auto add = [&](std::size_t choice) {
      Answer& answer = choices[choice].answers[question];
      answer.seeds.push_back({.value = row.real(value), .standard_error = row.real(value + 1)});
      answer.evaluations.push_back(row.integer(0));
      answer.items = std::max(answer.items, row.integer(9));
      if (!row.is_null(value + 2))
        answer.stored = {.value = row.real(value), .low = row.real(value + 2), .high = row.real(value + 3)};
    };
    if (row.is_null(1)) {
      const auto [model, is_new] = choice_of_model.emplace(row.text(2), choices.size());
      if (is_new) choices.push_back({.rule = "model " + row.text(2)});
      add(model->second);
      continue;
    }
    const auto [first, last] = choices_of_run.equal_range(row.integer(1));
    for (auto at = first; at != last; ++at) add(at->second);
  }
}

}  // namespace

nlohmann::json Question::setting(const char* name) const {
  const auto json = nlohmann::json::parse(settings, nullptr, false);
  const auto at = json.find(name);
  return at == json.end() ? nlohmann::json() : *at;
}

std::string Question::data_digest() const {
  const nlohmann::json digest = setting("data_digest");
  return digest.is_string() ? digest.get<std::string>() : "";
}

std::string Results::data_file(const Question& question) const {
  const auto of_task = data_files.find(question.task);
  if (of_task == data_files.end()) return "";
  const auto named = of_task->second.find(question.data_digest());
  return named == of_task->second.end() ? "" : named->second;
}

std::string Results::data_name(const Question& question) const {
  const std::string name = data_file(question);
  if (name.empty()) return "";
  const auto alike = std::ranges::count_if(data_files.at(question.task),
                                           [&](const auto& file) { return file.second == name; });
  if (alike == 1) return name;
  return name + " (" + question.data_digest().substr(0, 8) + ")";
}

std::int64_t Choice::seeds() const {
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(runs.size()));
}

std::int64_t Choice::diverged() const { return std::ranges::count_if(runs, &ReportedRun::is_diverged); }

std::string Choice::name() const { return options.empty() ? rule : rule + ", " + options; }

std::string rate_text(double lr) { return nlohmann::json(lr).dump(); }

bool more_is_better(const std::string& metric) {
  return metric.find("loss") == std::string::npos && metric.find("perplexity") == std::string::npos &&
         metric != "bits_per_byte";
}

std::optional<Interval> interval_of(const Answer& answer) {
  if (answer.seeds.empty()) return std::nullopt;
  if (answer.seeds.size() == 1 && answer.stored) return answer.stored;
  double work = 0;
  for (const Measured& seed : answer.seeds) work += 1 + static_cast<double>(seed.items.size());
  const int draws = std::clamp(static_cast<int>(draw_budget / work), least_draws, most_draws);
  return mean_interval(answer.seeds, draws);
}

Results load_results(Store& store) {
  Results results;
  for (auto& [candidate, rates] : load_choices(store)) add_chosen(rates, results.choices);
  load_answers(store, results);
  load_items(store, results.choices);
  std::set<std::string> rules;
  for (Choice& choice : results.choices) {
    rules.insert(choice.rule);
    for (auto& [question, answer] : choice.answers) {
      check_items(answer);
      if (more_is_better(question.metric))
        answer.seeds.resize(answer.seeds.size() + static_cast<std::size_t>(choice.diverged()));
    }
  }
  for (const std::string& rule : rules) results.styles.emplace(rule, results.styles.size());
  return results;
}

}  // namespace mdnlab
