#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/eval_task.h"
#include "run/evaluation.h"
#include "run/open_model.h"
#include "run/stop.h"

namespace mdnlab {

namespace {

using Clock = std::chrono::steady_clock;

// A bar that is rewritten in place; nothing where nobody looks.
class Bar {
 public:
  explicit Bar(std::string name) : name_(std::move(name)) {}

  void show(std::int64_t done, std::int64_t count) {
    if (first_ < 0) first_ = done - 1;
    const bool is_due = Clock::now() - shown_ > std::chrono::milliseconds(200) || done == count;
    if (!stderr_is_terminal() || !is_due) return;
    shown_ = Clock::now();
    // Of a line of 80 columns, what a long name leaves.
    const std::int64_t width = 30 - std::clamp<std::int64_t>(std::ssize(name_) - 8, 0, 20);
    const auto filled = static_cast<std::size_t>(width * done / count);
    const double seconds = std::chrono::duration<double>(shown_ - begun_).count();
    const double left = seconds / static_cast<double>(done - first_) * static_cast<double>(count - done);
    progress(fmt::format("{}  [{}{}]  {} of {} items  ETA {}", name_, std::string(filled, '#'),
                         std::string(static_cast<std::size_t>(width) - filled, '.'), done, count,
                         duration(left)));
  }

 private:
  std::string name_;
  std::int64_t first_ = -1;  // items of an earlier call
  Clock::time_point begun_ = Clock::now(), shown_{};
};

nlohmann::ordered_json number(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
}

std::string json_text(const std::string& model, const std::vector<Score>& scores) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Score& score : scores) {
    nlohmann::ordered_json one{
        {"task", score.task}, {"metric", score.metric}, {"length", nullptr}, {"depth", nullptr}};
    if (score.length) one["length"] = *score.length;
    if (score.depth) one["depth"] = *score.depth;
    one["n"] = score.n;
    one["value"] = number(score.value);
    one["stderr"] = score.stderr_value ? number(*score.stderr_value) : nullptr;
    one["settings"] = nlohmann::ordered_json::parse(score.settings_json);
    list.push_back(std::move(one));
  }
  return nlohmann::ordered_json{{"model", model}, {"scores", std::move(list)}}.dump() + "\n";
}

// The settings in which scores differ that are alike in all other columns, as key=value.
std::vector<std::string> differences(const std::vector<Score>& scores) {
  struct Alike {
    std::size_t scores = 0;
    std::map<std::string, std::multiset<std::string>> values;
  };
  const auto columns = [](const Score& score) {
    return std::tuple(score.task, score.metric, score.length, score.depth);
  };
  std::map<decltype(columns(scores[0])), Alike> groups;
  for (const Score& score : scores) {
    Alike& alike = groups[columns(score)];
    ++alike.scores;
    const auto settings = nlohmann::json::parse(score.settings_json);
    for (const auto& [key, value] : settings.items()) alike.values[key].insert(value.dump());
  }
  std::vector<std::string> texts;
  for (const Score& score : scores) {
    const Alike& alike = groups[columns(score)];
    std::vector<std::string> words;
    const auto settings = nlohmann::json::parse(score.settings_json);
    for (const auto& [key, value] : settings.items()) {
      if (alike.values.at(key).count(value.dump()) < alike.scores)
        words.push_back(key + "=" + (value.is_string() ? value.get<std::string>() : value.dump()));
    }
    texts.push_back(join(words, " "));
  }
  return texts;
}

// Without the columns that say nothing: empty ones, and the task where it is the only one.
Table told(Table table) {
  for (std::size_t c = table.columns.size(); c-- > 0;) {
    const bool says_nothing = std::ranges::all_of(table.rows, [&](const std::vector<std::string>& row) {
      return row[c].empty() || (c == 0 && row[c] == table.rows[0][c]);
    });
    if (!says_nothing) continue;
    const auto place = static_cast<std::ptrdiff_t>(c);
    table.columns.erase(table.columns.begin() + place);
    for (std::vector<std::string>& row : table.rows) row.erase(row.begin() + place);
  }
  return table;
}

// Four places, or six digits of a large number.
std::string value_text(double value) {
  return std::abs(value) < 1000 ? fixed(value, 4) : fmt::format("{:.6g}", value);
}

std::string table_text(const std::vector<Score>& scores, TableFormat format) {
  Table table{{{"task"},
               {"metric"},
               {"length", true},
               {"depth", true},
               {"settings"},
               {"n", true},
               {"value", true},
               {"stderr", true}},
              {}};
  const std::vector<std::string> settings = differences(scores);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const Score& score = scores[i];
    table.rows.push_back({score.task, score.metric, score.length ? std::to_string(*score.length) : "",
                          score.depth ? shortest(*score.depth) : "", settings[i], std::to_string(score.n),
                          value_text(score.value),
                          score.stderr_value ? value_text(*score.stderr_value) : ""});
  }
  return (format == TableFormat::plain ? told(std::move(table)) : table).text(format);
}

std::string about() {
  std::vector<std::string> names;
  for (const TaskKind& kind : task_kinds()) names.emplace_back(kind.name);
  return "Asks a model the items of a task and stores each with its score in the database. Stopped or "
         "killed, the same command goes on where it was; what is stored already is not asked again. MODEL "
         "is a checkpoint, a model folder of another project, or run:KEYPREFIX.\n\nTasks, whose settings "
         "experiments/README.md explains: " +
         join(names, ", ") + ".";
}

int run(std::span<const std::string> words) {
  const std::string text = about();
  Arguments arguments({.usage = "mdnlab eval MODEL --task T[,T...] [options]",
                       .about = text.c_str(),
                       .examples =
                           "  mdnlab eval run:3f2a --task needle --lengths 1024,2048 --samples 100 \\\n"
                           "      --set words=experiments/data/words\n"
                           "  mdnlab eval run:3f2a --task choice --set set=piqa --path piqa/valid.jsonl\n"
                           "  mdnlab eval mdn-400M --task lambada --path lambada.jsonl \\\n"
                           "      --tokenizer gpt2:experiments/data/gpt2 --json\n"
                           "  mdnlab eval run:3f2a --task contains --path mine.jsonl\n"
                           "  mdnlab eval run:3f2a --task influence --set heads=true\n"});
  add_task_words(arguments);
  arguments.add_formats();
  add_model_words(arguments);
  if (!arguments.parse(words)) return 0;
  const ModelWords given = read_model_words(arguments);
  const std::vector<AskedTask> tasks = read_tasks(arguments, given);
  const LanguageModel model = given.build();
  Store store = Store::open(arguments.database());
  const EvaluatedModel identity = identify_model(arguments.text("MODEL"), given.stored, store);
  listen_for_stop();
  std::vector<Score> scores;
  for (const AskedTask& asked : tasks) {
    Bar bar(asked.choice.kind->name);
    std::int64_t answered = 0;
    const auto of_task = evaluate_and_store(
        store, identity, model, arguments.text("dtype"), asked.choice, *asked.task,
        {.should_stop = stop_requested, .progress = [&](std::int64_t done, std::int64_t count) {
           bar.show(done, count);
           answered = done;
         }});
    end_progress();
    if (!of_task) {
      note(fmt::format("mdnlab: interrupted; {} items of '{}' are kept, the same command goes on", answered,
                       asked.choice.kind->name));
      return static_cast<int>(Code::interrupted);
    }
    scores.insert(scores.end(), of_task->begin(), of_task->end());
  }
  print(arguments.has("json") ? json_text(arguments.text("MODEL"), scores)
                              : table_text(scores, arguments.format()));
  return 0;
}

}  // namespace

const Command eval_command{"eval", "scores of a model on tasks", run};

}  // namespace mdnlab
