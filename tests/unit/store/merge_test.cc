#include "store/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../error_of.h"
#include "../temporary_folder.h"
#include "base/error.h"
#include "base/file.h"
#include "database.h"
#include "store/benches.h"
#include "store/metrics.h"

namespace mdnlab {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Merge : public testing::Test {
 protected:
  const TemporaryFolder folder;
  const fs::path here = folder / "here.db";
  const fs::path there = folder / "it's there?.db";
  Store into = Store::open(here);
  Store source = Store::open(there);

  std::int64_t count(const std::string& rows) { return into.sql().integer("select count(*) from " + rows); }

  // A run with one metric and one evaluation of two items, all of `value`.
  std::int64_t fill(Store& store, const std::string& key, RunState state, std::int64_t step, double value) {
    const std::int64_t run = ended_run(store, plan_of(key), state, step);
    add_metrics(store, run, std::vector<Metric>{{step, "train/loss", value}});
    Score score = with_items(score_of("text", "loss", value, "{}"), {value, value});
    score.low = value - 1;
    score.high = value + 1;
    add_evaluation(store, {.run_id = run, .step = step}, score);
    return run;
  }

  Bench bench(Store& store, const std::string& host) {
    return {.rule = "mdn",
            .device = "cpu",
            .dtype = "f32",
            .direction = "both",
            .median_ms = 1,
            .machine_id = ensure_machine(store, machine_of(host)),
            .build_id = ensure_build(store, some_build)};
  }
};

TEST_F(Merge, BringsEverythingUnderNewIds) {
  fill(into, "mine", RunState::done, 100, 1);
  ensure_machine(source, machine_of("there"));
  add_bench(source, bench(source, "far"));
  fill(source, "theirs", RunState::done, 100, 2);
  ended_run(source, plan_of("lost"), RunState::diverged, 5, "nan");
  add_evaluation(source, {.digest = "d1"}, with_items(score_of("mqar", "accuracy", 3, "{}"), {3.0}));

  const MergeCount first = merge(into, there);
  EXPECT_EQ(first.runs_added, 2);
  EXPECT_EQ(first.runs_replaced + first.runs_kept, 0);
  EXPECT_EQ(first.evaluations, 2);
  EXPECT_EQ(first.benches, 1);
  EXPECT_EQ(count("run where state = 'done'"), 2);
  EXPECT_EQ(count("run where state = 'diverged' and error = 'nan' and step = 5"), 1);
  EXPECT_EQ(count("metric join run on run.id = run_id where key = 'theirs' and value = 2"), 1);
  EXPECT_EQ(count("evaluation_item i join evaluation e on e.id = evaluation_id where i.value <> e.value"), 0);
  EXPECT_EQ(count("evaluation_item"), 5);
  EXPECT_EQ(count("sweep"), 3);
  EXPECT_EQ(count("machine"), 3) << "'here' is the same machine in both";
  EXPECT_EQ(count("build"), 1);
  EXPECT_EQ(count("bench join machine on machine.id = machine_id where host = 'far'"), 1);
  EXPECT_EQ(count("run join machine on machine.id = machine_id where host = 'here'"), 3);
  EXPECT_EQ(count("pragma_foreign_key_check"), 0);
}

TEST_F(Merge, TwiceChangesNothing) {
  fill(source, "a", RunState::done, 100, 1);
  fill(source, "b", RunState::interrupted, 50, 1);
  claim(source, ensure_run(source, plan_of("c")));
  ensure_run(source, plan_of("d"));
  add_evaluation(source, {.digest = "d1"}, score_of("mqar", "accuracy", 3, "{}"));
  add_bench(source, bench(source, "far"));
  merge(into, there);
  const std::string once = contents(here);
  const MergeCount again = merge(into, there);
  EXPECT_EQ(contents(here), once);
  EXPECT_EQ(again.runs_added + again.runs_replaced + again.evaluations + again.benches, 0);
  EXPECT_EQ(again.runs_kept, 4);
  EXPECT_EQ(count("run where key = 'c' and state = 'interrupted' and worker_pid is null"), 1)
      << "it runs elsewhere";
  EXPECT_EQ(count("run where key = 'd' and state = 'planned'"), 1);
}

struct Rival {
  RunState ours, theirs;
  std::int64_t our_step, their_step;
  bool replaced;
};

TEST_F(Merge, KeepsTheDoneOneElseTheFurtherOne) {
  const Rival rivals[] = {{RunState::interrupted, RunState::done, 90, 100, true},
                          {RunState::done, RunState::interrupted, 100, 90, false},
                          {RunState::interrupted, RunState::interrupted, 10, 20, true},
                          {RunState::interrupted, RunState::interrupted, 20, 10, false},
                          {RunState::interrupted, RunState::interrupted, 20, 20, false},
                          {RunState::done, RunState::done, 100, 100, false}};
  for (std::size_t i = 0; i < std::size(rivals); ++i) {
    fill(into, "k" + std::to_string(i), rivals[i].ours, rivals[i].our_step, 1);
    fill(source, "k" + std::to_string(i), rivals[i].theirs, rivals[i].their_step, 2);
  }
  const MergeCount merged = merge(into, there);
  EXPECT_EQ(merged.runs_replaced, 2);
  EXPECT_EQ(merged.runs_kept, 4);
  for (std::size_t i = 0; i < std::size(rivals); ++i) {
    const std::string key = "k" + std::to_string(i);
    const Rival& rival = rivals[i];
    const double value = rival.replaced ? 2 : 1;
    const RunRow run = find_run(into, key).value();
    EXPECT_EQ(run.state, rival.replaced ? rival.theirs : rival.ours) << key;
    EXPECT_EQ(run.step, rival.replaced ? rival.their_step : rival.our_step) << key;
    for (const std::string table : {"metric", "evaluation"}) {
      Statement row = into.sql().query(
          "select min(value), max(value), count(*) from " + table + " where run_id = ?", run.id);
      row.step();
      EXPECT_EQ(row.real(0), value) << key << " " << table;
      EXPECT_EQ(row.real(1), value) << key << " " << table;
      EXPECT_EQ(row.integer(2), 1) << key << " " << table;
    }
  }
  EXPECT_EQ(count("evaluation_item"), 12);
}

TEST_F(Merge, LeavesARunAloneThatIsTrainedHere) {
  const std::int64_t run = ensure_run(into, plan_of("k1"));
  claim(into, run);
  fill(source, "k1", RunState::done, 100, 2);
  EXPECT_EQ(merge(into, there).runs_kept, 1);
  EXPECT_EQ(find_run(into, "k1")->state, RunState::running);

  into.sql().run("update run set worker_start = worker_start - 1");  // its process is gone
  EXPECT_EQ(merge(into, there).runs_replaced, 1);
  EXPECT_EQ(find_run(into, "k1")->state, RunState::done);
  EXPECT_EQ(count("metric"), 1);
}

TEST_F(Merge, AddsTheirLaterScoresToADoneRun) {
  fill(into, "k1", RunState::done, 100, 1);
  const std::int64_t run = fill(source, "k1", RunState::done, 100, 1);
  Score worded = score_of("mqar", "accuracy", 5, "{}");
  worded.items = {{.item = 3,
                   .value = 5,
                   .prompt_digest = "ab",
                   .answer = "yes",
                   .prediction = "no",
                   .log_probabilities = {-0.5, -INFINITY}}};
  add_evaluation(source, {.run_id = run, .step = 100}, worded);
  ensure_run(source, plan_of("k1", {.sweep = "theirs"}));
  EXPECT_EQ(merge(into, there).evaluations, 1);
  EXPECT_EQ(count("evaluation"), 2);
  EXPECT_EQ(count("evaluation_item where value = 5 and item = 3 and prompt_digest = 'ab' and answer = 'yes'"
                  " and prediction = 'no' and log_probabilities_json = '[-0.5,null]'"),
            1);
  EXPECT_EQ(count("sweep"), 2);
}

TEST_F(Merge, TakesManySources) {
  fill(source, "k1", RunState::interrupted, 10, 1);
  {
    Store third = Store::open(folder / "third.db");
    fill(third, "k1", RunState::done, 100, 2);
  }
  const fs::path sources[] = {there, folder / "third.db"};
  const MergeCount total = merge(into, sources);
  EXPECT_EQ(total.runs_added, 1);
  EXPECT_EQ(total.runs_replaced, 1);
  EXPECT_EQ(find_run(into, "k1")->state, RunState::done);
}

TEST_F(Merge, ComesInWholeOrNotAtAll) {
  fill(into, "mine", RunState::done, 100, 1);
  fill(source, "k1", RunState::done, 100, 2);
  add_bench(source, bench(source, "far"));
  const std::string before = contents(here);
  into.sql().script(
      "create temp trigger stop before insert on main.bench begin select raise(abort, 'stopped'); end");
  EXPECT_THAT(error_of([&] { merge(into, there); }).what(), HasSubstr("stopped"));
  EXPECT_EQ(contents(here), before);
  into.sql().script("drop trigger stop");
  EXPECT_EQ(merge(into, there).runs_added, 1);
}

TEST_F(Merge, RefusesItselfAndWhatItCannotTrust) {
  const std::string before = contents(here);
  fs::create_symlink(here, folder / "link.db");
  for (const fs::path& same : {here, folder / "link.db"}) {
    const Error error = error_of([&] { merge(into, same); });
    EXPECT_EQ(error.code(), Code::usage);
    EXPECT_THAT(error.what(), HasSubstr("cannot be merged into itself"));
  }
  EXPECT_THAT(error_of([&] { merge(into, folder / "none.db"); }).what(),
              HasSubstr("there is no database here"));
  EXPECT_FALSE(fs::exists(folder / "none.db"));
  write_file(folder / "noise.db", std::string(8192, 'x'));
  const Error noise = error_of([&] { merge(into, folder / "noise.db"); });
  EXPECT_EQ(noise.code(), Code::store);
  EXPECT_THAT(noise.what(), HasSubstr((folder / "noise.db").string()));

  source.sql().script("pragma user_version = 99");
  EXPECT_THAT(error_of([&] { merge(into, there); }).what(), HasSubstr("found version 99, expected version"));
  EXPECT_EQ(contents(here), before);
}

TEST_F(Merge, RefusesADamagedSource) {
  const fs::path damaged = folder / "damaged.db";
  {
    Store store = Store::open(damaged);
    const std::int64_t run = fill(store, "k1", RunState::done, 100, 2);
    std::vector<Metric> metrics;
    for (int step = 0; step < 5000; ++step) metrics.push_back({step, "train/loss", 1});
    add_metrics(store, run, metrics);
  }
  std::string bytes = read_file(damaged);
  for (std::size_t at = bytes.size() / 2; at < bytes.size(); ++at) bytes[at] = static_cast<char>(at * 31);
  write_file(damaged, bytes);
  const std::string before = contents(here);
  const Error error = error_of([&] { merge(into, damaged); });
  EXPECT_EQ(error.code(), Code::store);
  EXPECT_THAT(error.what(), HasSubstr(damaged.string() + ": the database is damaged"));
  EXPECT_EQ(contents(here), before);
}

TEST_F(Merge, ReadsASourceThatIsBeingWritten) {
  fill(source, "k1", RunState::done, 100, 2);
  const Transaction held(source.sql());
  ensure_run(source, plan_of("not committed"));
  EXPECT_EQ(merge(into, there).runs_added, 1);
}

TEST_F(Merge, ReadsANetworkFileSystemWhileTheFileStandsStill) {
  const fs::path far = folder / "far.db";
  {
    Store store = Store::open(far);
    fill(store, "k1", RunState::done, 100, 2);
  }
  int questions = 0;
  const StoreOptions network{.network_name = [&](const fs::path&) {
    ++questions;
    return "NFS";
  }};
  const StoreOptions restless{.network_name = [&, asked = 0](const fs::path& file) mutable {
    if (++asked == 3) fs::last_write_time(file, fs::file_time_type::clock::now() + std::chrono::seconds(5));
    return "NFS";
  }};
  const std::string before = contents(here);
  EXPECT_THAT(error_of([&] { merge(into, far, restless); }).what(), HasSubstr("changed while it was read"));
  EXPECT_EQ(contents(here), before);
  EXPECT_EQ(merge(into, far, network).runs_added, 1);
  EXPECT_GT(questions, 0);
  Store writer = Store::open(far);
  fill(writer, "k2", RunState::done, 100, 2);
  EXPECT_THAT(error_of([&] { merge(into, far, network); }).what(),
              HasSubstr("NFS with a log beside the file"));
}

}  // namespace
}  // namespace mdnlab
