// A database of runs and scores, and the report of it.
#pragma once

#include <gtest/gtest.h>

#include <stdexcept>

#include "../store/database.h"
#include "../temporary_folder.h"
#include "report/report.h"
#include "report/sections.h"
#include "store/metrics.h"

namespace mdnlab {

struct RunChoice {
  std::string rule = "mdn", sweep = "retention";
  std::int64_t seed = 1, state_bytes = 65536;
  double lr = 1e-3;
};

class ReportOf : public testing::Test {
 protected:
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "results.db";
  Store store = Store::open(file);
  int runs_ = 0;

  std::int64_t add(const RunChoice& choice, double valid_loss = 2, RunState state = RunState::done) {
    RunPlan plan =
        plan_of("k" + std::to_string(++runs_),
                {.rule = choice.rule, .task = "retention", .seed = choice.seed, .sweep = choice.sweep});
    plan.state_bytes = choice.state_bytes;
    plan.config_json = R"({"rule": {"name": ")" + choice.rule + R"(", "head_dim": )" +
                       std::to_string(choice.state_bytes >> 10) + R"(}, "train": {"lr": )" +
                       std::to_string(choice.lr) + R"(, "seed": )" + std::to_string(choice.seed) + "}}";
    plan.config_yaml = "rule: {name: " + choice.rule + "}\ntrain: {lr: " + std::to_string(choice.lr) +
                       ", seed: " + std::to_string(choice.seed) + "}\n";
    const std::int64_t run = ended_run(store, plan, state, 100, state == RunState::done ? "" : "not finite");
    add_metrics(store, run,
                std::vector<Metric>{{50, "train/loss", 3},
                                    {100, "train/loss", 2},
                                    {50, "valid/loss", 3},
                                    {100, "valid/loss", valid_loss},
                                    {100, "train/tokens_per_second", 1000}});
    return run;
  }

  // I(g) of 4 possible bits at lags 16, 32, 64 of 64 tokens.
  void add_retention(std::int64_t run, const std::vector<double>& bits, std::int64_t writes = 0) {
    std::int64_t lag = 16;
    for (const double value : bits) {
      add_evaluation(
          store, {.run_id = run, .step = 100},
          with_items(score_of("retention", "information_bits", value,
                              R"({"lag":)" + std::to_string(lag) + R"(,"seed":9,"values":16,"writes":)" +
                                  std::to_string(writes) + "}",
                              64),
                     {value, value, value}));
      lag *= 2;
    }
  }

  Report report() { return make_report(file, Plugins(), std::nullopt); }

  static Section section(const Report& report, const std::string& id) {
    for (const Section& one : report.sections) {
      if (one.id == id) return one;
    }
    throw std::logic_error("no section " + id);
  }

  static std::vector<std::string> column(const Grid& grid, const std::string& name) {
    const Table table = grid.exact();
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      if (table.columns[i].name != name) continue;
      for (const auto& row : table.rows) cells.push_back(row[i]);
    }
    return cells;
  }
};

}  // namespace mdnlab
