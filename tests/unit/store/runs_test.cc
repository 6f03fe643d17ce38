#include "store/runs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <limits>
#include <nlohmann/json.hpp>

#include "../error_of.h"
#include "../temporary_folder.h"
#include "base/error.h"
#include "database.h"
#include "store/metrics.h"
#include "store/status.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Runs : public testing::Test {
 protected:
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "a.db";
  Store store = Store::open(file);

  RunRow get(const std::string& key) { return find_run(store, key).value(); }
  bool claim_as(std::int64_t run, const Worker& worker) {
    return claim_run(store, run, worker, ensure_machine(store, machine_of(worker.host)),
                     ensure_build(store, some_build));
  }
  std::vector<std::string> metric_rows(std::int64_t run) {
    Statement row = store.sql().query(
        "select step || ' ' || name || ' ' || ifnull(value, 'null') from metric"
        " where run_id = ? order by step, name",
        run);
    std::vector<std::string> rows;
    while (row.step()) rows.push_back(row.text(0));
    return rows;
  }
};

TEST_F(Runs, ComeBackAsTheyWerePlanned) {
  const RunPlan plan = plan_of("abc", {.rule = "mamba2", .task = "mqar", .seed = 7});
  const std::int64_t id = ensure_run(store, plan);
  const RunRow run = get("abc");
  EXPECT_EQ(run.id, id);
  EXPECT_EQ(run.state, RunState::planned);
  EXPECT_EQ(run.step, 0);
  EXPECT_FALSE(run.worker);
  EXPECT_EQ(run.plan.key, "abc");
  EXPECT_EQ(run.plan.name, "mamba2 on mqar");
  EXPECT_EQ(run.plan.rule, "mamba2");
  EXPECT_EQ(run.plan.task, "mqar");
  EXPECT_EQ(run.plan.seed, 7);
  EXPECT_EQ(run.plan.steps, 100);
  EXPECT_EQ(run.plan.tokens_per_step, 4096);
  EXPECT_EQ(run.plan.parameters, 500'000);
  EXPECT_EQ(run.plan.state_bytes, 65'536);
  EXPECT_EQ(run.plan.device_kind, "cpu");
  EXPECT_EQ(run.plan.config_json, plan.config_json);
  EXPECT_EQ(run.plan.config_yaml, plan.config_yaml);
  EXPECT_EQ(find_run(store, "ab"), std::nullopt);
}

TEST_F(Runs, AKnownKeyIsLeftAndJoinsTheSweepThatPlansItToo) {
  const std::int64_t run = ended_run(store, plan_of("abc"));
  RunPlan again = plan_of("abc", {.sweep = "other"});
  again.name = "another name";
  EXPECT_EQ(ensure_run(store, again), run);
  EXPECT_EQ(ensure_run(store, again), run);
  EXPECT_EQ(get("abc").state, RunState::done);
  EXPECT_EQ(get("abc").plan.name, "mdn on text");
  EXPECT_EQ(list_runs(store).size(), 1u);
  Statement sweeps = store.sql().query("select group_concat(name) from sweep");
  sweeps.step();
  EXPECT_EQ(sweeps.text(0), "other,quickstart");
}

TEST_F(Runs, AreFoundByAPrefixThatFitsOne) {
  ensure_run(store, plan_of("ab12"));
  ensure_run(store, plan_of("ab34", {.rule = "mamba2"}));
  ensure_run(store, plan_of("%"));
  EXPECT_EQ(find_run_by_prefix(store, "ab1").plan.key, "ab12");
  EXPECT_EQ(find_run_by_prefix(store, "%").plan.key, "%");
  const Error two = error_of([&] { find_run_by_prefix(store, "ab"); });
  EXPECT_EQ(two.code(), Code::usage);
  EXPECT_THAT(two.what(),
              HasSubstr("several runs have a key that starts with 'ab'; found ab12 (mdn on text), "
                        "ab34 (mamba2 on text), expected one run"));
  const Error none = error_of([&] { find_run_by_prefix(store, "AB"); });
  EXPECT_EQ(none.code(), Code::usage);
  EXPECT_THAT(none.what(), HasSubstr("no run has a key that starts with 'AB'"));
  for (int i = 0; i < 20; ++i) ensure_run(store, plan_of("many" + std::to_string(i)));
  EXPECT_THAT(error_of([&] { find_run_by_prefix(store, ""); }).what(), HasSubstr(", …, expected one run"));
}

TEST_F(Runs, GoThroughTheirStates) {
  const std::int64_t run = ensure_run(store, plan_of("abc"));
  claim(store, run);
  EXPECT_EQ(get("abc").state, RunState::running);
  EXPECT_EQ(get("abc").worker, this_worker());
  set_progress(store, run, 40);
  finish_run(store, run, RunState::diverged, "the loss is nan at step 40");
  EXPECT_EQ(get("abc").state, RunState::diverged);
  EXPECT_EQ(get("abc").error, "the loss is nan at step 40");
  EXPECT_EQ(get("abc").step, 40);
  EXPECT_FALSE(get("abc").worker);
  claim(store, run);
  EXPECT_EQ(get("abc").error, "");
  finish_run(store, run, RunState::interrupted);
  claim(store, run);
  finish_run(store, run, RunState::done);
  EXPECT_FALSE(claim_as(run, this_worker())) << "done";
  EXPECT_EQ(get("abc").state, RunState::done);
  EXPECT_THROW(finish_run(store, run, RunState::failed), std::logic_error) << "without an error";
  EXPECT_THROW(finish_run(store, run, RunState::done, "x"), std::logic_error);
  EXPECT_THROW(finish_run(store, run, RunState::planned), std::logic_error);
  EXPECT_EQ(error_of([&] { set_progress(store, run, 101); }).code(), Code::store) << "past the last step";
}

TEST_F(Runs, BelongToOneLivingProcess) {
  const std::int64_t run = ensure_run(store, plan_of("abc"));
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  Worker other = this_worker();
  // What /proc says of the child, by asking as the child would.
  for (other.pid = child, other.start = 0; life_of(other) != Life::alive; ++other.start) {
    if (other.start == 0) other.start = this_worker().start - 1;
    ASSERT_LT(other.start, this_worker().start + 100'000'000);
  }
  ASSERT_TRUE(claim_as(run, other));
  EXPECT_FALSE(claim_as(run, this_worker()));
  EXPECT_EQ(get("abc").worker, other);
  EXPECT_EQ(release_dead_runs(store), 0);
  EXPECT_EQ(status(store).front().state, "running");

  kill(child, SIGKILL);
  siginfo_t ended;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(life_of(other), Life::gone) << "not yet reaped";
  EXPECT_EQ(status(store).front().state, "interrupted");
  EXPECT_EQ(get("abc").state, RunState::running) << "as stored";
  EXPECT_TRUE(claim_as(run, this_worker()));
  waitpid(child, nullptr, 0);

  Worker recycled = this_worker();
  recycled.start -= 1;
  EXPECT_EQ(life_of(recycled), Life::gone) << "the same pid, another process";
  ASSERT_TRUE(claim_as(run, this_worker())) << "twice by the same";
  finish_run(store, run, RunState::interrupted);
  ASSERT_TRUE(claim_as(run, recycled));
  EXPECT_EQ(release_dead_runs(store), 1);
  EXPECT_EQ(get("abc").state, RunState::interrupted);
}

TEST_F(Runs, OfAnotherHostAreTakenOverWhenSilent) {
  const std::int64_t run = ensure_run(store, plan_of("abc"));
  const Worker far{"another-host", 1, 1};
  ASSERT_TRUE(claim_as(run, far));
  EXPECT_FALSE(claim_as(run, this_worker()));
  store.sql().run("update run set updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-11 minutes')");
  EXPECT_TRUE(claim_as(run, this_worker()));
}

class Resume : public Runs {
 protected:
  const std::int64_t other = ended_run(store, plan_of("other"));
  const std::int64_t run = ensure_run(store, plan_of("abc"));

  void SetUp() override {
    claim(store, run);
    for (const std::int64_t id : {run, other}) {
      const std::vector<Metric> metrics = {{10, "train/loss", 1.0},
                                           {20, "train/loss", 0.5},
                                           {20, "valid/loss", 0.6},
                                           {30, "train/loss", 0.25}};
      add_metrics(store, id, metrics);
      for (const int step : {20, 30}) {
        add_evaluation(store, {.run_id = id, .step = step},
                       with_items(score_of("mqar", "accuracy", 0.5, "{}"), {1.0, 0.0}));
      }
    }
    set_progress(store, run, 30);
  }
};

TEST_F(Resume, RemovesWhatIsPastTheCheckpointAndNothingElse) {
  resume_from(store, run, 20);
  EXPECT_THAT(metric_rows(run), ElementsAre("10 train/loss 1.0", "20 train/loss 0.5", "20 valid/loss 0.6"));
  EXPECT_EQ(metric_rows(other).size(), 4u);
  EXPECT_EQ(store.sql().integer("select count(*) from evaluation where run_id = ?", run), 1);
  EXPECT_EQ(store.sql().integer("select count(*) from evaluation where run_id = ?", other), 2);
  EXPECT_EQ(store.sql().integer("select count(*) from evaluation_item"), 6);
  EXPECT_EQ(get("abc").step, 20);
  EXPECT_EQ(get("abc").state, RunState::running);
  resume_from(store, run, 0);
  EXPECT_TRUE(metric_rows(run).empty());
}

TEST_F(Resume, HappensWholeOrNotAtAll) {
  const std::string before = contents(file);
  try {
    const Transaction transaction(store.sql());
    resume_from(store, run, 10);
    EXPECT_EQ(metric_rows(run).size(), 1u);
    throw std::runtime_error("in between");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(contents(file), before);

  // Each of its statements fails in turn: what the others did is undone.
  for (const std::string event : {"delete on metric", "delete on evaluation", "update on run"}) {
    store.sql().script("create temp trigger stop before " + event +
                       " begin select raise(abort, 'stopped'); end");
    EXPECT_THAT(error_of([&] { resume_from(store, run, 10); }).what(), HasSubstr("stopped"));
    store.sql().script("drop trigger stop");
    EXPECT_EQ(contents(file), before) << event;
  }
}

TEST_F(Resume, OutlivesAKillInTheMiddle) {
  const std::string before = contents(file);
  const pid_t child = fork();
  if (child == 0) {
    Store mine = Store::open(file);
    const Transaction transaction(mine.sql());
    resume_from(mine, run, 10);
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(contents(file), before);
  resume_from(store, run, 10);
  EXPECT_EQ(metric_rows(run).size(), 1u);
}

TEST_F(Resume, WritesTheSameRowsAgain) {
  const std::vector<Metric> metrics = {{20, "train/loss", 0.75}, {30, "train/loss", 0.125}};
  resume_from(store, run, 10);
  add_metrics(store, run, metrics);
  add_metrics(store, run, metrics);
  EXPECT_THAT(metric_rows(run),
              ElementsAre("10 train/loss 1.0", "20 train/loss 0.75", "30 train/loss 0.125"));
}

TEST_F(Runs, KeepEveryBitOfAMetricAndNullForWhatIsNotFinite) {
  const std::int64_t run = ensure_run(store, plan_of("abc"));
  const double odd = 0.1 + 0.2;
  const double tiny = std::numeric_limits<double>::denorm_min();
  add_metrics(store, run,
              std::vector<Metric>{{1, "a", odd}, {2, "a", tiny}, {3, "a", std::nan("")}, {4, "a", INFINITY}});
  Statement row = store.sql().query("select value from metric order by step");
  row.step();
  EXPECT_EQ(row.real(0), odd);
  row.step();
  EXPECT_EQ(row.real(0), tiny);
  row.step();
  EXPECT_TRUE(row.is_null(0));
  row.step();
  EXPECT_TRUE(row.is_null(0));
}

TEST_F(Runs, StatusListsThemWithTheTimeLeft) {
  const std::int64_t first = ensure_run(store, plan_of("k1"));
  ensure_run(store, plan_of("k2"));
  ended_run(store, plan_of("k3"), RunState::failed, 3, "out of memory: \xff");
  claim(store, first);
  resume_from(store, first, 20);
  set_progress(store, first, 40);
  store.sql().run(
      "update run set attempt_at = '2026-01-31T10:00:00.000Z', updated_at = '2026-01-31T10:00:10.000Z'"
      " where id = ?",
      first);
  const std::vector<StatusRow> rows = status(store);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].state, "running");
  ASSERT_TRUE(rows[0].eta_s);
  EXPECT_NEAR(*rows[0].eta_s, 30.0, 1e-3) << "20 steps took 10 s, 60 are left";
  EXPECT_EQ(rows[1].state, "planned");
  EXPECT_FALSE(rows[1].eta_s);

  const auto json = nlohmann::ordered_json::parse(status_json(rows));
  ASSERT_EQ(json["runs"].size(), 3u);
  std::vector<std::string> keys;
  for (const auto& [key, value] : json["runs"][2].items()) keys.push_back(key);
  EXPECT_THAT(keys, ElementsAre("key", "name", "state", "step", "steps", "eta_s", "error"));
  EXPECT_EQ(json["runs"][2]["key"], "k3");
  EXPECT_EQ(json["runs"][2]["step"], 3);
  EXPECT_TRUE(json["runs"][2]["eta_s"].is_null());
  EXPECT_EQ(json["runs"][2]["error"], "out of memory: \uFFFD");
  EXPECT_TRUE(json["runs"][0]["error"].is_null());
  EXPECT_EQ(status_json({}), "{\"runs\":[]}\n");
}

}  // namespace
}  // namespace mdnlab
