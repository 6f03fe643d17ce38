// Databases for tests: plans to store, and everything a file holds as text.
#pragma once

#include <string>
#include <vector>

#include "store/evaluations.h"
#include "store/facts.h"
#include "store/runs.h"
#include "store/store.h"

namespace mdnlab {

struct PlanChoice {
  std::string rule = "mdn";
  std::string task = "text";
  std::int64_t seed = 1;
  std::string sweep = "quickstart";
};

inline RunPlan plan_of(const std::string& key, const PlanChoice& choice = {}) {
  return {.key = key,
          .sweep = choice.sweep,
          .name = choice.rule + " on " + choice.task,
          .rule = choice.rule,
          .task = choice.task,
          .seed = choice.seed,
          .steps = 100,
          .tokens_per_step = 4096,
          .parameters = 500'000,
          .state_bytes = 65'536,
          .device_kind = "cpu",
          .config_json = R"({"rule": {"name": ")" + choice.rule + R"("}, "train": {"seed": 1}})",
          .config_yaml = "rule: {name: " + choice.rule + "}\n"};
}

inline MachineFacts machine_of(const std::string& host) {
  return {.host = host, .system = "Debian 12", .cpu = "Xeon", .cpu_cores = 2, .memory_mib = 8192};
}

inline const BuildFacts some_build = {
    .version = "0.1.0", .git_commit = "abc", .libtorch = "2.11.0", .compiler = "g++ 12"};

inline void claim(Store& store, std::int64_t run) {
  if (!claim_run(store, run, this_worker(), ensure_machine(store, machine_of("here")),
                 ensure_build(store, some_build))) {
    throw std::logic_error("the run cannot be claimed");
  }
}

// A run that was planned, claimed, brought to `step` and ended.
inline std::int64_t ended_run(Store& store, const RunPlan& plan, RunState state = RunState::done,
                              std::int64_t step = 100, const std::string& error = "") {
  const std::int64_t run = ensure_run(store, plan);
  claim(store, run);
  set_progress(store, run, step);
  finish_run(store, run, state, error);
  return run;
}

inline Score score_of(const std::string& task, const std::string& metric, double value,
                      const std::string& settings, std::int64_t length = 256) {
  return {.task = task,
          .metric = metric,
          .length = length,
          .depth = std::nullopt,
          .n = 10,
          .value = value,
          .stderr_value = 0.01,
          .settings_json = settings};
}

// The score with items 0, 1, … of these values.
inline Score with_items(Score score, const std::vector<double>& values) {
  for (std::size_t i = 0; i < values.size(); ++i)
    score.items.push_back({static_cast<std::int64_t>(i), values[i]});
  return score;
}

// Every row of every table, and the version: equal text is an equal database.
inline std::string contents(const std::filesystem::path& file) {
  Connection connection(file, Connection::Mode::read, std::chrono::milliseconds(1000));
  std::string text = "version " + std::to_string(connection.integer("pragma user_version")) + "\n";
  Statement table = connection.query("select name from sqlite_master where type = 'table' order by name");
  while (table.step()) {
    text += table.text(0) + "\n";
    Statement column_count = connection.query("select count(*) from pragma_table_info(?)", table.text(0));
    column_count.step();
    Statement row = connection.query("select * from " + table.text(0) + " order by 1, 2");
    while (row.step()) {
      for (int i = 0; i < column_count.integer(0); ++i) text += (row.is_null(i) ? "null" : row.text(i)) + "|";
      text += "\n";
    }
  }
  return text;
}

}  // namespace mdnlab
