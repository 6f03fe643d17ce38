#include "run/execute.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "base/text.h"
#include "eval/evaluate.h"
#include "run/evaluation.h"
#include "run/machine.h"
#include "run/memory.h"
#include "run/numerics.h"
#include "run/planner.h"
#include "run/stop.h"
#include "run/training_memory.h"
#include "run/utilisation.h"
#include "store/evaluations.h"
#include "store/metrics.h"
#include "store/runs.h"
#include "train/trainer.h"

namespace mdnlab {

namespace {

using Clock = std::chrono::steady_clock;

void tell(const nlohmann::ordered_json& line) {
  const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) request_stop();
}

void tell(const std::string& message) { tell(nlohmann::ordered_json{{"message", message}}); }

// Gathers metrics and writes them in batches: every few seconds, and whenever a checkpoint needs them to be
// there.
class StoreSink final : public Sink {
 public:
  StoreSink(Store& store, std::int64_t run_id, const EvaluatedModel& model)
      : store_(store), run_id_(run_id), model_(model) {}

  void metric(std::int64_t step, std::string_view name, double value) override {
    waiting_.push_back({step, std::string(name), value});
    if (Clock::now() - written_ > std::chrono::seconds(5)) flush(step);
  }

  void score(const Score& score) override { add_evaluation(store_, model_, score); }

  void flush(std::int64_t step) {
    add_metrics(store_, run_id_, waiting_);
    set_progress(store_, run_id_, step);
    waiting_.clear();
    written_ = Clock::now();
  }

 private:
  Store& store_;
  std::int64_t run_id_;
  EvaluatedModel model_;
  std::vector<Metric> waiting_;
  Clock::time_point written_ = Clock::now();
};

// A process that was told to stop needs a moment to write its checkpoint; then the run is ours.
void claim(Store& store, const RunRow& run, std::int64_t machine, std::int64_t build) {
  const auto give_up = Clock::now() + std::chrono::seconds(60);
  while (!claim_run(store, run.id, this_worker(), machine, build)) {
    const std::optional<RunRow> now = find_run(store, run.plan.key);
    if (stop_requested() || Clock::now() > give_up) {
      throw Error(Code::failed, fmt::format("another process trains this run: pid {}",
                                            now && now->worker ? now->worker->pid : 0));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

// `eval:` entries see the same corpus and seed as the training task. False: told to stop.
bool evaluate_at_end(const LanguageModel& model, const RunConfig& config, TaskMaker& tasks, Store& store,
                     const EvaluatedModel& identity) {
  for (std::size_t i = 0; i < config.evaluations.size(); ++i) {
    const TaskChoice& choice = config.evaluations[i];
    const std::unique_ptr<Task> task = tasks.make(choice, config);
    EvaluationHooks hooks{.should_stop = stop_requested, .progress = {}};
    Clock::time_point told = Clock::now();
    hooks.progress = [&](std::int64_t done, std::int64_t count) {
      if (Clock::now() - told < std::chrono::seconds(5)) return;
      told = Clock::now();
      tell(fmt::format("eval {}: {} of {} items", choice.kind->name, done, count));
    };
    if (!evaluate_and_store(store, identity, model, config.train.text("dtype"), choice, *task, hooks))
      return false;
  }
  return true;
}

struct Attempt {
  const RunOrder& order;
  const Plugins& plugins;
  Store& store;
  const RunRow& run;
  const EvaluatedModel& identity;
};

TrainingResult train_and_evaluate(const Attempt& attempt, const PlannedRun& planned, TaskMaker& tasks) {
  const auto& [order, plugins, store, run, identity] = attempt;
  const RunConfig& config = planned.config;
  set_numerics(config.train);

  StoreSink sink(store, run.id, identity);
  const at::ScalarType dtype = dtype_of(config.train.text("dtype"));
  UtilisationSink measured(sink, order.device, planned.flops_per_token,
                           peak_flops(order.device, dtype));  // sees the model arrive
  const std::shared_ptr<const Task>& task = planned.task;
  LanguageModel model(config.model, plugins, planned.vocab_size, dtype,
                      static_cast<std::uint64_t>(config.train.integer("seed")), order.device);
  Trainer trainer(model, *task, config.train, run_folder(order.database, run.plan.key), run.plan.config_json);
  std::vector<std::string> refused;
  const std::int64_t step = trainer.resume(refused);
  for (const std::string& message : refused) tell("warning: " + message);
  if (step > 0) tell(fmt::format("goes on from step {}", step));
  resume_from(store, run.id, step);

  Clock::time_point told{};
  TrainingHooks hooks;
  hooks.should_stop = [] { return stop_requested(); };
  hooks.evaluate = [&](std::int64_t at) {
    for (const Score& score : evaluate(model, *task, Split::valid))
      sink.metric(at, "valid/" + score.metric, score.value);
  };
  hooks.before_checkpoint = [&](std::int64_t at) { sink.flush(at); };
  bool told_skip = false;
  hooks.progress = [&](const TrainingProgress& now) {
    if (now.skipped > 0 && !std::exchange(told_skip, true)) {
      tell(
          fmt::format("warning: skipped {} of {} steps, as the loss or a gradient was not finite; with more "
                      "than {} in a row the run is diverged",
                      now.skipped, now.step, config.train.integer("max_skipped_steps")));
    }
    if (Clock::now() - told < std::chrono::milliseconds(200) && now.step < now.steps) return;
    told = Clock::now();
    tell(nlohmann::ordered_json{{"step", now.step},
                                {"steps", now.steps},
                                {"loss", now.loss},
                                {"skipped", now.skipped},
                                {"tokens_per_second", now.tokens_per_second}});
  };
  TrainingResult result = trainer.train(measured, hooks);
  sink.flush(result.step);
  if (told_skip) tell(fmt::format("skipped {} of {} steps", result.skipped, result.step));
  if (result.end == TrainingEnd::finished && !evaluate_at_end(model, config, tasks, store, identity))
    result.end = TrainingEnd::interrupted;
  return result;
}

TrainingResult train_in_memory(const Attempt& attempt) {
  const RunOrder& order = attempt.order;
  const RunPlan& plan = attempt.run.plan;
  TaskMaker tasks(order.base);
  const PlannedRun planned =
      describe_run(read_config(parse_yaml(plan.config_json, "run " + plan.key), attempt.plugins),
                   attempt.plugins, tasks, order.device);
  if (planned.row.key != plan.key)
    throw Error(Code::failed, "the data or a rule has changed since the run was planned");
  const Params& train = planned.config.train;
  const std::int64_t element = train.text("dtype") == "f64" ? 8 : 4, least = 4 * element * plan.parameters;
  const std::optional<TrainingMemory> memory = training_memory(
      planned.config, attempt.plugins, *planned.task, planned.vocab_size, rehearsal_of(order.device));
  const std::int64_t estimate = memory ? memory->peak_bytes : least;
  const std::string warning = memory_warning(estimate, least, device_memory(order.device));
  if (!warning.empty()) tell("warning: " + warning);
  try {
    return train_and_evaluate(attempt, planned, tasks);
  } catch (const std::exception& error) {
    if (!is_out_of_memory(error)) throw;
    throw out_of_memory(train, estimate, device_memory(order.device));
  }
}

}  // namespace

std::filesystem::path run_folder(const std::filesystem::path& database, const std::string& key) {
  std::filesystem::path folder = database;
  if (folder.extension() == ".db") folder.replace_extension();
  return std::filesystem::path(folder.string() + ".runs") / key;
}

int execute_run(const RunOrder& order, const Plugins& plugins) {
  listen_for_stop();
  std::signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // nobody would read the progress of an orphan
  Store store = Store::open(order.database);
  const std::optional<RunRow> run = find_run(store, order.key);
  if (!run) throw Error(Code::store, "no run has the key " + quote(order.key));
  const std::int64_t machine = ensure_machine(store, machine_facts()),
                     build = ensure_build(store, build_facts());
  claim(store, *run, machine, build);

  EvaluatedModel identity{
      .run_id = run->id, .step = run->plan.steps, .machine_id = machine, .build_id = build};
  try {
    const TrainingResult result = train_in_memory({order, plugins, store, *run, identity});
    switch (result.end) {
      case TrainingEnd::finished:
        finish_run(store, run->id, RunState::done);
        return static_cast<int>(Code::ok);
      case TrainingEnd::interrupted:
        finish_run(store, run->id, RunState::interrupted);
        return static_cast<int>(Code::interrupted);
      case TrainingEnd::diverged:
        finish_run(store, run->id, RunState::diverged, result.cause);
        tell("diverged: " + result.cause);
        return static_cast<int>(Code::failed);
    }
  } catch (const Error& error) {
    if (error.code() == Code::store) throw;  // nothing more can be written there
    finish_run(store, run->id, RunState::failed, error.what());
    tell(std::string("failed: ") + error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    const std::string cause = split(error.what(), '\n')[0];  // LibTorch adds a stack trace
    finish_run(store, run->id, RunState::failed, cause);
    tell("failed: " + cause);
  }
  return static_cast<int>(Code::failed);
}

}  // namespace mdnlab
