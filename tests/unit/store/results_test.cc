// Evaluations, benches, machines and builds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "../error_of.h"
#include "../temporary_folder.h"
#include "base/error.h"
#include "database.h"
#include "store/benches.h"

namespace mdnlab {
namespace {

using testing::HasSubstr;

class Results : public testing::Test {
 protected:
  const TemporaryFolder folder;
  Store store = Store::open(folder / "a.db");
  const std::int64_t run = ended_run(store, plan_of("k1"));
  const std::int64_t machine = ensure_machine(store, machine_of("here"));
  const std::int64_t build = ensure_build(store, some_build);

  std::int64_t count(const std::string& table) {
    return store.sql().integer("select count(*) from " + table);
  }
};

TEST_F(Results, MachinesAndBuildsAreOneRowEach) {
  EXPECT_EQ(ensure_machine(store, machine_of("here")), machine);
  MachineFacts faster = machine_of("here");
  faster.gpu = "H200";
  EXPECT_NE(ensure_machine(store, faster), machine);
  EXPECT_EQ(ensure_build(store, some_build), build);
  BuildFacts later = some_build;
  later.git_commit = "def";
  EXPECT_NE(ensure_build(store, later), build);
  EXPECT_EQ(count("machine"), 2);
  EXPECT_EQ(count("build"), 2);
  Statement row = store.sql().query(
      "select host, system, cpu, cpu_cores, memory_mib, gpu, gpu_count from machine where id = ?", machine);
  row.step();
  EXPECT_EQ(row.text(0) + row.text(1) + row.text(2), "hereDebian 12Xeon");
  EXPECT_EQ(row.integer(3), 2);
  EXPECT_EQ(row.integer(4), 8192);
}

TEST_F(Results, AnEvaluationKeepsItsItemsAndReplacesItsPredecessor) {
  const EvaluatedModel model{
      .run_id = run, .step = 100, .digest = std::nullopt, .machine_id = machine, .build_id = build};
  add_evaluation(
      store, model,
      with_items(score_of("mqar", "accuracy", 0.5, R"({"pairs": 4, "chance": 0.03})"), {1.0, 0.0}));
  const std::int64_t second =
      add_evaluation(store, model,
                     with_items(score_of("mqar", "accuracy", 0.75, R"({"chance":0.03,"pairs":4})"),
                                {1.0, 1.0, std::nan("")}));
  EXPECT_EQ(count("evaluation"), 1);
  EXPECT_EQ(count("evaluation_item"), 3);
  EXPECT_EQ(store.sql().integer("select count(*) from evaluation_item where value is null and item = 2"), 1);
  Statement row = store.sql().query(
      "select task, metric, length, depth, n, value, stderr, settings_json, step from evaluation"
      " where id = ?",
      second);
  ASSERT_TRUE(row.step());
  EXPECT_EQ(row.text(0), "mqar");
  EXPECT_EQ(row.text(1), "accuracy");
  EXPECT_EQ(row.integer(2), 256);
  EXPECT_TRUE(row.is_null(3));
  EXPECT_EQ(row.integer(4), 10);
  EXPECT_EQ(row.real(5), 0.75);
  EXPECT_EQ(row.real(6), 0.01);
  EXPECT_EQ(row.text(7), R"({"chance":0.03,"pairs":4})");
  EXPECT_EQ(row.integer(8), 100);
}

TEST_F(Results, EachQuestionIsAnEvaluationOfItsOwn) {
  const EvaluatedModel model{.run_id = run, .step = 100};
  const Score first = score_of("mqar", "accuracy", 0.5, R"({"pairs": 4})");
  std::vector<Score> scores(6, first);
  scores[1].settings_json = R"({"pairs": 8})";
  scores[2].length = 512;
  scores[3].length = std::nullopt;
  scores[4].depth = 0.5;
  scores[5].metric = "loss";
  for (int time = 0; time < 2; ++time) {
    for (const Score& score : scores) add_evaluation(store, model, score);
    add_evaluation(store, {.run_id = run, .step = 50}, first);
    add_evaluation(store, {.digest = "d1"}, first);
    add_evaluation(store, {.digest = "d2"}, first);
    EXPECT_EQ(count("evaluation"), 9);
  }
}

TEST_F(Results, AnEvaluationNeedsAModelAndSettings) {
  const Score score = score_of("mqar", "accuracy", 0.5, "{}");
  EXPECT_EQ(error_of([&] { add_evaluation(store, {}, score); }).code(), Code::store);
  EXPECT_EQ(error_of([&] { add_evaluation(store, {.run_id = run}, score); }).code(), Code::store);
  EXPECT_EQ(error_of([&] { add_evaluation(store, {.run_id = 99, .step = 1}, score); }).code(), Code::store);
  for (const std::string bad : {"", "[1]", "{pairs: 4}"}) {
    Score unreadable = score;
    unreadable.settings_json = bad;
    EXPECT_THAT(error_of([&] { add_evaluation(store, {.run_id = run, .step = 1}, unreadable); }).what(),
                HasSubstr("the settings of a result are malformed; found '" + bad + "'"));
  }
  EXPECT_EQ(count("evaluation"), 0);
}

TEST_F(Results, ItemsThatCannotBeKeptTakeTheirScoreWithThem) {
  store.sql().script(
      "create temp trigger stop before insert on evaluation_item when new.item = 1"
      " begin select raise(abort, 'stopped'); end");
  const Score score = score_of("mqar", "accuracy", 0.5, "{}");
  EXPECT_EQ(error_of([&] {
              add_evaluation(store, {.run_id = run, .step = 1}, with_items(score, {1.0, 0.0}));
            }).code(),
            Code::store);
  EXPECT_EQ(count("evaluation"), 0);
}

TEST_F(Results, BenchesAreAHistory) {
  const Bench bench{.rule = "mdn",
                    .device = "cpu",
                    .dtype = "f32",
                    .batch = 1,
                    .tokens = 1024,
                    .heads = 4,
                    .key_width = 64,
                    .value_width = 64,
                    .direction = "both",
                    .median_ms = 1.5,
                    .spread_ms = 0.1,
                    .peak_mib = 12,
                    .tokens_per_second = 1e6,
                    .machine_id = machine,
                    .build_id = build,
                    .settings_json = R"({"threads": 1})"};
  add_bench(store, bench);
  usleep(2000);  // times have milliseconds
  add_bench(store, bench);
  EXPECT_EQ(count("bench"), 2);
  EXPECT_EQ(
      store.sql().integer(
          "select count(*) from bench where rule = 'mdn' and device = 'cpu' and dtype = 'f32' and batch = 1"
          " and tokens = 1024 and heads = 4 and key_width = 64 and value_width = 64 and direction = 'both'"
          " and median_ms = 1.5 and spread_ms = 0.1 and peak_mib = 12 and tokens_per_second = 1e6"
          " and settings_json = '{\"threads\":1}'"),
      2);
}

}  // namespace
}  // namespace mdnlab
