#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/eval_tables.h"
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

std::string about() {
  std::vector<std::string> names;
  for (const TaskKind& kind : task_kinds()) names.emplace_back(kind.name);
  return "Asks a model the items of a task and stores each with its score in the database. Stopped or "
         "killed, the same command goes on where it was; what is stored already is not asked again. MODEL "
         "is a checkpoint, a model folder of another project, or run:KEYPREFIX. Intervals are of 95 %, over "
         "items: how the score would vary with other questions, not with another training.\n\nTasks, whose "
         "settings experiments/README.md explains: " +
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
  print(arguments.has("json") ? scores_json(arguments.text("MODEL"), scores)
                              : scores_table(scores, arguments.format()));
  return 0;
}

}  // namespace

const Command eval_command{"eval", "scores of a model on tasks", run};

}  // namespace mdnlab
