#include "run/runner.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "run/devices.h"
#include "run/progress_line.h"
#include "run/worker_process.h"

namespace mdnlab {

namespace {

using Clock = std::chrono::steady_clock;

volatile std::sig_atomic_t interrupted = 0;

struct ActiveRun {
  ActiveRun(const PlannedRun* planned, c10::Device its, WorkerProcess worker)
      : run(planned), device(its), process(std::move(worker)) {}

  const PlannedRun* run;
  c10::Device device;
  WorkerProcess process;
  RunProgress progress;
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
      : plan_(plan),
        options_(options),
        store_(Store::open(options.database)),
        slots_(options.devices, options.jobs_per_device) {}

  RunnerResult run() {
    queue_runs();
    const InterruptGuard guard;
    bool told_workers = false;
    while (!active_.empty() || (!waiting_.empty() && !interrupted && fatal_ == 0)) {
      while (!interrupted && fatal_ == 0 && !waiting_.empty()) {
        const std::optional<c10::Device> device = slots_.take();
        if (!device) break;
        start(*waiting_.front(), *device);
      }
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

  void start(const PlannedRun& run, c10::Device device) {
    waiting_.pop_front();
    std::vector<std::string> words{"worker",
                                   "--db",
                                   options_.database.string(),
                                   "--key",
                                   run.row.key,
                                   "--base",
                                   options_.base.string(),
                                   "--device",
                                   device.is_cpu() ? "cpu" : "cuda"};
    words.insert(words.end(), options_.plugin_words.begin(), options_.plugin_words.end());
    std::vector<std::string> variables;
    if (device.is_cuda()) {
      variables.push_back("CUDA_VISIBLE_DEVICES=" +
                          visible_gpu(device.index(), std::getenv("CUDA_VISIBLE_DEVICES")));
    }
    ActiveRun& started = active_.emplace_back(&run, device, WorkerProcess(words, variables));
    started.progress = {.number = &run - plan_.data() + 1,
                        .name = run.row.name,
                        .device = slots_.count() > 1 ? device.str() : "",
                        .steps = run.row.steps};
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
      slots_.give_back(run->device);
      run = active_.erase(run);
    }
  }

  void take_line(ActiveRun& run, const std::string& line) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object()) {
      note(title(run) + ": " + line);
    } else if (json.contains("message")) {
      note(title(run) + ": " + json["message"].get<std::string>());
    } else {
      RunProgress& now = run.progress;
      now.step = json.value("step", std::int64_t{0});
      if (json["loss"].is_number()) now.loss = json["loss"].get<double>();  // a skipped step has none
      now.tokens_per_second = json.value("tokens_per_second", 0.0);
      now.skipped = json.value("skipped", std::int64_t{0});
      show(run);
    }
  }

  // On a terminal one line that follows all active runs; elsewhere one whenever a run has done another tenth.
  void show(const ActiveRun& run) {
    const std::int64_t tenth = run.progress.step * 10 / run.progress.steps;
    const bool is_new_tenth = tenth > std::exchange(shown_[run.run], tenth);
    std::vector<RunProgress> shown;
    if (stderr_is_terminal()) {
      for (const ActiveRun& active : active_) shown.push_back(active.progress);
    } else if (is_new_tenth) {
      shown.push_back(run.progress);
    }
    if (!shown.empty()) progress(progress_line(shown, std::ssize(plan_), seconds_left()));
  }

  static std::string title(const ActiveRun& run) {
    const RunProgress& progress = run.progress;
    return progress.device.empty() ? progress.name : progress.name + " (" + progress.device + ")";
  }

  // What is left of the active runs and all of the waiting ones, in tokens, at the speed of now.
  double seconds_left() const {
    double speed = 0, tokens = 0;
    for (const ActiveRun& run : active_) {
      speed += run.progress.tokens_per_second;
      tokens += static_cast<double>((run.progress.steps - run.progress.step) * run.run->row.tokens_per_step);
    }
    for (const PlannedRun* run : waiting_)
      tokens += static_cast<double>(run->row.steps * run->row.tokens_per_step);
    return tokens / speed;
  }

  void end(ActiveRun& active) {
    const int code = active.process.wait();
    const std::string name = title(active);
    if (code == 0) {
      ++result_.done;
      note(fmt::format("{}: done", name));
    } else if (code < 0) {
      const std::string cause =
          fmt::format("the worker was ended by signal {} ({}{})", -code, strsignal(-code),
                      code == -SIGKILL ? "; the system does so where memory runs out" : "");
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
  DeviceSlots slots_;
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
