#include "store/runs.h"

#include <array>
#include <stdexcept>

#include "base/error.h"
#include "base/text.h"

namespace mdnlab {
namespace {

constexpr std::array<std::string_view, 6> state_names = {"planned", "running", "interrupted",
                                                         "done",    "failed",  "diverged"};

RunState state_of(std::string_view name) {
  for (std::size_t i = 0; i < state_names.size(); ++i) {
    if (state_names[i] == name) return static_cast<RunState>(i);
  }
  throw std::logic_error("no such run state");
}

constexpr std::string_view select_run =
    "select id, key, name, rule, task, seed, steps, tokens_per_step, parameters, state_bytes, device_kind,"
    " config_json, config_yaml, state, step, error, worker_host, worker_pid, worker_start from run ";

RunRow read_run(const Statement& row) {
  RunRow run{.id = row.integer(0),
             .plan = {.key = row.text(1),
                      .sweep = {},
                      .name = row.text(2),
                      .rule = row.text(3),
                      .task = row.text(4),
                      .seed = row.integer(5),
                      .steps = row.integer(6),
                      .tokens_per_step = row.integer(7),
                      .parameters = row.integer(8),
                      .state_bytes = row.integer(9),
                      .device_kind = row.text(10),
                      .config_json = row.text(11),
                      .config_yaml = row.text(12)},
             .state = state_of(row.text(13)),
             .step = row.integer(14),
             .error = row.text(15),
             .worker = std::nullopt};
  if (!row.is_null(17)) run.worker = Worker{row.text(16), row.integer(17), row.integer(18)};
  return run;
}

template <class... Values>
std::vector<RunRow> read_runs(Store& store, std::string_view condition, const Values&... values) {
  Statement row = store.sql().query(std::string(select_run).append(condition), values...);
  std::vector<RunRow> runs;
  while (row.step()) runs.push_back(read_run(row));
  return runs;
}

bool is_silent(Store& store, std::int64_t run_id) {
  return store.sql().integer(
             "select julianday('now') - julianday(updated_at) > 10.0 / (24 * 60) from run where id = ?",
             run_id) != 0;
}

bool may_live(Store& store, std::int64_t run_id, const Worker& worker) {
  const Life life = life_of(worker);
  return life == Life::alive || (life == Life::unknown && !is_silent(store, run_id));
}

}  // namespace

std::string_view state_name(RunState state) { return state_names.at(static_cast<std::size_t>(state)); }

std::int64_t ensure_run(Store& store, const RunPlan& plan) {
  Transaction transaction(store.sql());
  store.sql().run(
      "insert into run (key, name, rule, task, seed, steps, tokens_per_step, parameters, state_bytes, "
      "device_kind,"
      " config_json, config_yaml) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (key) do nothing",
      plan.key, plan.name, plan.rule, plan.task, plan.seed, plan.steps, plan.tokens_per_step, plan.parameters,
      plan.state_bytes, plan.device_kind, plan.config_json, plan.config_yaml);
  const std::int64_t id = store.sql().integer("select id from run where key = ?", plan.key);
  store.sql().run("insert into sweep (run_id, name) values (?, ?) on conflict do nothing", id, plan.sweep);
  transaction.commit();
  return id;
}

std::optional<RunRow> find_run(Store& store, std::string_view key) {
  std::vector<RunRow> runs = read_runs(store, "where key = ?", key);
  if (runs.empty()) return std::nullopt;
  return std::move(runs.front());
}

RunRow find_run_by_prefix(Store& store, std::string_view prefix) {
  std::vector<RunRow> runs =
      read_runs(store, "where substr(key, 1, length(?1)) = ?1 order by key limit 9", prefix);
  if (runs.size() == 1) return std::move(runs.front());
  if (runs.empty()) {
    throw Error(Code::usage, {.place = {.file = store.file().string()},
                              .what = "no run has a key that starts with " + quote(prefix),
                              .hint = "`mdnlab status` lists the runs"});
  }
  std::vector<std::string> choices;
  for (const RunRow& run : runs) choices.push_back(run.plan.key + " (" + run.plan.name + ")");
  if (choices.size() > 8) choices.back() = "…";
  throw Error(Code::usage, {.place = {.file = store.file().string()},
                            .what = "several runs have a key that starts with " + quote(prefix),
                            .found = join(choices, ", "),
                            .expected = "one run",
                            .hint = "give more of the key"});
}

std::vector<RunRow> list_runs(Store& store) { return read_runs(store, "order by id"); }

bool claim_run(Store& store, std::int64_t run_id, const Worker& worker, std::int64_t machine_id,
               std::int64_t build_id) {
  Transaction transaction(store.sql());
  const std::vector<RunRow> runs = read_runs(store, "where id = ?", run_id);
  if (runs.empty()) throw std::logic_error("claim_run: no such run");
  const RunRow& run = runs.front();
  if (run.state == RunState::done) return false;
  if (run.worker && *run.worker != worker && may_live(store, run_id, *run.worker)) return false;
  store.sql().run(
      "update run set state = 'running', error = null, worker_host = ?2, worker_pid = ?3, worker_start = ?4,"
      " machine_id = ?5, build_id = ?6, attempt_step = step, ended_at = null,"
      " (attempt_at, updated_at, started_at) = (select now, now, coalesce(started_at, now)"
      " from (select strftime('%Y-%m-%dT%H:%M:%fZ', 'now') as now)) where id = ?1",
      run_id, worker.host, worker.pid, worker.start, machine_id, build_id);
  transaction.commit();
  return true;
}

void resume_from(Store& store, std::int64_t run_id, std::int64_t step) {
  Transaction transaction(store.sql());
  store.sql().run("delete from metric where run_id = ? and step > ?", run_id, step);
  store.sql().run("delete from evaluation where run_id = ? and step > ?", run_id, step);
  store.sql().run("delete from asking where run_id = ? and step > ?", run_id, step);
  store.sql().run(
      "update run set step = ?2, attempt_step = ?2, (attempt_at, updated_at) = (select now, now"
      " from (select strftime('%Y-%m-%dT%H:%M:%fZ', 'now') as now)) where id = ?1",
      run_id, step);
  transaction.commit();
}

void set_progress(Store& store, std::int64_t run_id, std::int64_t step) {
  Transaction transaction(store.sql());
  store.sql().run(
      "update run set step = ?2, updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') where id = ?1", run_id,
      step);
  transaction.commit();
}

void finish_run(Store& store, std::int64_t run_id, RunState state, std::string_view error) {
  const bool bad = state == RunState::failed || state == RunState::diverged;
  if (state == RunState::planned || state == RunState::running || bad == error.empty()) {
    throw std::logic_error("finish_run: an end state, with an error exactly when it failed or diverged");
  }
  Transaction transaction(store.sql());
  store.sql().run(
      "update run set state = ?2, error = ?3, worker_host = null, worker_pid = null, worker_start = null,"
      " (updated_at, ended_at) = (select now, now from (select strftime('%Y-%m-%dT%H:%M:%fZ', 'now') as now))"
      " where id = ?1",
      run_id, state_name(state), bad ? std::optional(error) : std::nullopt);
  transaction.commit();
}

std::int64_t release_dead_runs(Store& store) {
  Transaction transaction(store.sql());
  std::int64_t released = 0;
  for (const RunRow& run : read_runs(store, "where state = 'running'")) {
    if (run.worker && may_live(store, run.id, *run.worker)) continue;
    finish_run(store, run.id, RunState::interrupted);
    ++released;
  }
  transaction.commit();
  return released;
}

}  // namespace mdnlab
