#include "run/runner.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "run/worker_process.h"

namespace mdnlab {

namespace {

using Clock = std::chrono::steady_clock;

volatile std::sig_atomic_t interrupted = 0;

struct ActiveRun {
  ActiveRun(const PlannedRun* planned, WorkerProcess worker) : run(planned), process(std::move(worker)) {}

  const PlannedRun* run;
  WorkerProcess process;
  std::int64_t step = 0;
  double loss = 0, tokens_per_second = 0;
};

// The runner's own SIGINT handling, for as long as it lives.
class InterruptGuard {
 public:
  InterruptGuard() {
    interrupted = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = 1; };
    sigaction(SIGINT, &action, &before_int_);
    sigaction(SIGTERM, &action, &before_term_);
  }
  ~InterruptGuard() {
    sigaction(SIGINT, &before_int_, nullptr);
    sigaction(SIGTERM, &before_term_, nullptr);
  }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  struct sigaction before_int_ {
  }, before_term_{};
};

class Runner {
 public:
  Runner(const std::vector<PlannedRun>& plan, const RunnerOptions& options)
      : plan_(plan), options_(options), store_(Store::open(options.database)) {}

  RunnerResult run() {
    queue_runs();
    const InterruptGuard guard;
    bool told_workers = false;
    while (!active_.empty() || (!waiting_.empty() && !interrupted && fatal_ == 0)) {
      while (!interrupted && fatal_ == 0 && !waiting_.empty() && std::ssize(active_) < options_.jobs)
        start(*waiting_.front());
      if ((interrupted || fatal_ != 0) && !told_workers) {
        if (interrupted) note("interrupted: each run ends its step and writes a checkpoint");
        for (const ActiveRun& run : active_) run.process.signal(SIGINT);
        told_workers = true;
      }
      listen();
    }
    end_progress();
    result_.interrupted = interrupted != 0;
    result_.exit_code = fatal_ != 0           ? fatal_
                        : result_.interrupted ? static_cast<int>(Code::interrupted)
                        : result_.failed > 0  ? 1
                                              : 0;
    return result_;
  }

 private:
  void queue_runs() {
    release_dead_runs(store_);
    for (const PlannedRun& run : plan_) {
      ensure_run(store_, run.row);
      const RunState state = find_run(store_, run.row.key)->state;
      if (state == RunState::done) {
        ++result_.done_before;
      } else if (state == RunState::diverged) {
        ++result_.failed;
      } else {
        waiting_.push_back(&run);
      }
    }
  }

  void start(const PlannedRun& run) {
    waiting_.pop_front();
    std::vector<std::string> words{"worker",
                                   "--db",
                                   options_.database.string(),
                                   "--key",
                                   run.row.key,
                                   "--base",
                                   options_.base.string(),
                                   "--device",
                                   options_.device.str()};
    words.insert(words.end(), options_.plugin_words.begin(), options_.plugin_words.end());
    active_.emplace_back(&run, WorkerProcess(words));
  }

  void listen() {
    std::vector<pollfd> ready;
    for (const ActiveRun& run : active_) ready.push_back({run.process.output(), POLLIN, 0});
    if (ready.empty() || poll(ready.data(), ready.size(), 1000) < 0)
      return;  // a signal: the loop looks at it
    auto answering = ready.begin();
    for (ActiveRun& run : active_) {
      if ((answering++)->revents == 0) continue;
      for (const std::string& line : run.process.read_lines()) take_line(run, line);
    }
    for (auto run = active_.begin(); run != active_.end();) {
      if (!run->process.has_ended()) {
        ++run;
        continue;
      }
      end(*run);
      run = active_.erase(run);
    }
  }

  void take_line(ActiveRun& run, const std::string& line) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object()) {
      note(run.run->row.name + ": " + line);
    } else if (json.contains("message")) {
      note(run.run->row.name + ": " + json["message"].get<std::string>());
    } else {
      run.step = json.value("step", std::int64_t{0});
      if (json["loss"].is_number()) run.loss = json["loss"].get<double>();  // a skipped step has none
      run.tokens_per_second = json.value("tokens_per_second", 0.0);
      show(run);
    }
  }

  // On a terminal one line that follows all active runs; elsewhere a line whenever a run has done another
  // tenth.
  void show(const ActiveRun& run) {
    const std::int64_t steps = run.run->row.steps;
    const bool is_new_tenth = run.step * 10 / steps > shown_[run.run];
    if (is_new_tenth) shown_[run.run] = run.step * 10 / steps;
    if (stderr_is_terminal()) {
      std::vector<const ActiveRun*> all;
      for (const ActiveRun& active : active_) all.push_back(&active);
      progress(line(all));
    } else if (is_new_tenth) {
      progress(line({&run}));
    }
  }

  // run 3+4 of 12  step 120/500+80/600  loss 2.310+1.204  14,000 tokens/s  ETA 3m12s  rule=mdn, task=text + …
  std::string line(const std::vector<const ActiveRun*>& runs) const {
    std::vector<std::string> positions, steps, losses, names;
    double speed = 0;
    for (const ActiveRun* run : runs) {
      positions.push_back(std::to_string(run->run - plan_.data() + 1));
      steps.push_back(fmt::format("{}/{}", run->step, run->run->row.steps));
      losses.push_back(fmt::format("{:.3f}", run->loss));
      names.push_back(run->run->row.name);
      speed += run->tokens_per_second;
    }
    return fmt::format("run {} of {}  step {}  loss {}  {} tokens/s  ETA {}  {}", join(positions, "+"),
                       plan_.size(), join(steps, "+"), join(losses, "+"),
                       grouped(static_cast<std::int64_t>(speed)), duration(seconds_left()),
                       join(names, " + "));
  }

  // What is left of the active runs and all of the waiting ones, in tokens, at the speed of now.
  double seconds_left() const {
    double speed = 0, tokens = 0;
    for (const ActiveRun& run : active_) {
      speed += run.tokens_per_second;
      tokens += static_cast<double>((run.run->row.steps - run.step) * run.run->row.tokens_per_step);
    }
    for (const PlannedRun* run : waiting_)
      tokens += static_cast<double>(run->row.steps * run->row.tokens_per_step);
    return tokens / speed;
  }

  void end(ActiveRun& active) {
    const int code = active.process.wait();
    const std::string& name = active.run->row.name;
    if (code == 0) {
      ++result_.done;
      note(fmt::format("{}: done", name));
    } else if (code < 0) {
      const std::string cause =
          fmt::format("the worker was ended by signal {} ({})", -code, strsignal(-code));
      release_dead_runs(store_);
      note(name + ": " + cause + "; the next run goes on from its last checkpoint");
      ++result_.failed;
    } else if (code == static_cast<int>(Code::store)) {
      fatal_ = code;  // the worker has said why
    } else if (code != static_cast<int>(Code::interrupted)) {
      ++result_.failed;
    } else {
      interrupted = 1;
    }
  }

  const std::vector<PlannedRun>& plan_;
  const RunnerOptions& options_;
  Store store_;
  std::deque<const PlannedRun*> waiting_;
  std::list<ActiveRun> active_;
  std::map<const PlannedRun*, std::int64_t> shown_;  // tenths
  RunnerResult result_;
  int fatal_ = 0;
};

}  // namespace

RunnerResult run_plan(const std::vector<PlannedRun>& plan, const RunnerOptions& options) {
  return Runner(plan, options).run();
}

}  // namespace mdnlab
