// Runs: planned once by their key, taken by one process at a time, carried on from a checkpoint, ended.
//
//   planned ─ claim → running ─ finish → done | failed | diverged | interrupted
//
// All but done can be claimed again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/store.h"
#include "store/worker.h"

namespace mdnlab {

enum class RunState { planned, running, interrupted, done, failed, diverged };

std::string_view state_name(RunState state);

// What is known of a run before it starts.
struct RunPlan {
  std::string key;
  std::string sweep;  // the `name:` of the YAML file that plans it
  std::string name;   // for people
  std::string rule;
  std::string task;  // that it is trained on
  std::int64_t seed = 0;
  std::int64_t steps = 0;
  std::int64_t tokens_per_step = 0;
  std::int64_t parameters = 0;
  std::int64_t state_bytes = 0;
  std::string device_kind;  // cpu, cuda
  std::string config_json;
  std::string config_yaml;
};

struct RunRow {
  std::int64_t id = 0;
  RunPlan plan;  // sweep stays "": a run may be in several
  RunState state = RunState::planned;
  std::int64_t step = 0;
  std::string error;
  std::optional<Worker> worker;
};

// The id of the run with plan.key: made if the key is new, else left as it is. Either way it joins
// plan.sweep.
std::int64_t ensure_run(Store& store, const RunPlan& plan);

std::optional<RunRow> find_run(Store& store, std::string_view key);

// The one run whose key starts with `prefix`; Code::usage when there is none or more than one (then listed).
RunRow find_run_by_prefix(Store& store, std::string_view prefix);

std::vector<RunRow> list_runs(Store& store);  // in the order they were planned

// Makes `worker` the only process that trains the run and the run `running`. False, and nothing changes, when
// the run is done or another living process has it. A process of another host cannot be asked: it counts as
// living until it has been silent for ten minutes.
bool claim_run(Store& store, std::int64_t run_id, const Worker& worker, std::int64_t machine_id,
               std::int64_t build_id);

// Carries a claimed run on from its checkpoint at `step` (0: from the start). In one transaction: the
// metrics, evaluations and evaluation items past `step` go, and the run stands at `step`.
void resume_from(Store& store, std::int64_t run_id, std::int64_t step);

void set_progress(Store& store, std::int64_t run_id, std::int64_t step);

// Ends the attempt: any state but planned and running. `error` is kept for failed and diverged, which need
// one.
void finish_run(Store& store, std::int64_t run_id, RunState state, std::string_view error = {});

// Runs still marked running whose process is gone become interrupted; how many.
std::int64_t release_dead_runs(Store& store);

}  // namespace mdnlab
