// Runs a plan: what is not done yet, several at a time on one or several devices, each in a worker process of
// its own, spawned (never forked) from this program. A worker sees no GPU but its own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "run/planner.h"

namespace mdnlab {

struct RunnerOptions {
  std::filesystem::path database;
  std::filesystem::path base;                      // the folder of the YAML file
  std::vector<std::string> plugin_words;           // --plugin words, passed on to the workers
  std::vector<c10::Device> devices = {c10::kCPU};  // of one kind; this process starts nothing on them
  std::int64_t jobs_per_device = 1;
};

struct RunnerResult {
  std::int64_t done_before = 0;  // runs that needed nothing
  std::int64_t done = 0;
  std::int64_t failed = 0;  // failed or diverged, also in an earlier attempt
  bool interrupted = false;
  int exit_code = 0;
};

// Done and diverged runs are left alone; planned, interrupted and failed ones are (re)started, each from its
// last checkpoint. Ctrl-C starts no more, lets each worker end its step and write its checkpoint, and then
// returns.
RunnerResult run_plan(const std::vector<PlannedRun>& plan, const RunnerOptions& options);

}  // namespace mdnlab
