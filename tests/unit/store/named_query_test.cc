#include "store/named_query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "../error_of.h"
#include "../temporary_folder.h"
#include "base/error.h"
#include "base/file.h"
#include "database.h"
#include "store/benches.h"
#include "store/metrics.h"
#include "store/query.h"

namespace mdnlab {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;

std::vector<std::string> names_of(const std::vector<NamedQuery>& queries) {
  std::vector<std::string> names;
  for (const NamedQuery& query : queries) names.push_back(query.name);
  return names;
}

TEST(NamedQueries, AreCompiledInAsTheSourceHasThem) {
  const std::vector<NamedQuery> queries = named_queries({});
  EXPECT_THAT(names_of(queries), IsSupersetOf({"failures", "leaderboard", "loss_curve", "retrieval"}));
  for (const NamedQuery& query : queries) {
    EXPECT_EQ(query.origin, "compiled in");
    EXPECT_EQ(query.sql,
              read_file(fs::path(std::getenv("MDNLAB_SOURCE")) / "analysis" / (query.name + ".sql")));
    EXPECT_TRUE(query.sql.starts_with("-- " + query.summary + "\n")) << query.name;
    EXPECT_TRUE(query.summary.ends_with('.')) << query.summary;
  }
}

TEST(NamedQueries, OfAFolderComeFirst) {
  const TemporaryFolder first, second;
  write_file(first / "leaderboard.sql", "-- Mine.\nselect 1");
  write_file(first / "notes.txt", "select 1");
  write_file(second / "leaderboard.sql", "-- Later.\nselect 2");
  write_file(second / "special.sql", "select 2");
  const fs::path folders[] = {first.path(), first / "missing", second.path()};
  EXPECT_THAT(names_of(named_queries(folders)), IsSupersetOf({"leaderboard", "special", "failures"}));
  EXPECT_EQ(named_query("leaderboard", folders).summary, "Mine.");
  EXPECT_EQ(named_query("leaderboard", folders).origin, (first / "leaderboard.sql").string());
  EXPECT_EQ(named_query("special", folders).summary, "");
  const Error error = error_of([&] { named_query("leaderbord", folders); });
  EXPECT_EQ(error.code(), Code::usage);
  EXPECT_STREQ(error.what(), "no query is named 'leaderbord'; did you mean 'leaderboard'?");
}

TEST(NamedQueries, AreToldFromSql) {
  EXPECT_TRUE(is_query_name("loss_curve"));
  EXPECT_FALSE(is_query_name("select 1"));
  EXPECT_FALSE(is_query_name(""));
  EXPECT_FALSE(is_query_name("select*from(run)"));
}

// A database with two sweeps, six rules' worth of cases: seeds, repeats, lengths, missing halves, failures.
class Analysis : public testing::Test {
 protected:
  const TemporaryFolder folder;
  const fs::path file = folder / "a.db";
  Store store = Store::open(file);

  std::int64_t text_run(const std::string& key, const PlanChoice& choice, double at_1x, double at_4x) {
    const std::int64_t run = ended_run(store, plan_of(key, choice));
    add_metrics(store, run,
                std::vector<Metric>{{50, "train/loss", 2.5},
                                    {100, "train/loss", 1.5},
                                    {100, "valid/loss", 1.75},
                                    {50, "train/tokens_per_second", 900.4},
                                    {100, "train/tokens_per_second", 100.0},
                                    {75, "train/tokens_per_second", 1000.0},
                                    {50, "train/mfu", 0.35},
                                    {75, "train/mfu", 0.4},
                                    {100, "train/mfu", 0.04},
                                    {50, "train/peak_memory_mib", 30'000.0},
                                    {75, "train/peak_memory_mib", 31'000.0},
                                    {100, "train/peak_memory_mib", 31'000.0}});
    const EvaluatedModel model{.run_id = run, .step = 100};
    add_evaluation(store, model, score_of("text", "bits_per_byte", at_1x, R"({"length_factor": 1})", 256));
    add_evaluation(store, model, score_of("text", "bits_per_byte", at_4x, R"({"length_factor": 4})", 1024));
    add_evaluation(store, model, score_of("text", "perplexity", 99, R"({"length_factor": 1})", 256));
    add_evaluation(store, {.run_id = run, .step = 50},
                   score_of("text", "bits_per_byte", 9, R"({"length_factor": 1})", 256));
    return run;
  }

  std::int64_t mqar_run(const std::string& key, PlanChoice choice, double at_4, double at_16) {
    choice.task = "mqar";
    RunPlan plan = plan_of(key, choice);
    plan.parameters = 7;
    const std::int64_t run = ended_run(store, plan);
    const EvaluatedModel model{.run_id = run, .step = 100};
    add_evaluation(store, model,
                   score_of("mqar", "accuracy", at_16, R"({"pairs": 16, "chance": 0.015625})", 64));
    add_evaluation(store, model,
                   score_of("mqar", "accuracy", at_4, R"({"pairs": 4, "chance": 0.015625})", 64));
    add_evaluation(store, model, score_of("mqar", "loss", 4, R"({"pairs": 4})", 64));
    return run;
  }

  Table ask(const std::string& name) { return query(file, named_query(name, {}).sql); }

  static std::vector<std::string> column(const Table& table, const std::string& name) {
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      if (table.columns[i].name != name) continue;
      for (const auto& row : table.rows) cells.push_back(row[i]);
    }
    return cells;
  }
};

TEST_F(Analysis, EveryQueryRunsAndExplainsItsColumns) {
  text_run("k1", {}, 2.5, 2.75);
  mqar_run("k2", {}, 1, 0.5);
  ended_run(store, plan_of("k3", {.rule = "mamba2"}), RunState::failed, 3, "a reason");
  add_bench(store, {.rule = "mdn",
                    .device = "cpu",
                    .direction = "fwd",
                    .median_ms = 1,
                    .machine_id = ensure_machine(store, machine_of("here")),
                    .build_id = ensure_build(store, some_build)});
  for (const NamedQuery& named : named_queries({})) {
    const Table table = query(file, named.sql);
    EXPECT_FALSE(table.rows.empty()) << named.name;
    for (const Table::Column& column : table.columns) {
      EXPECT_THAT(named.sql, testing::ContainsRegex("\n--   " + column.name + "( |\n)")) << named.name;
    }
  }
}

TEST_F(Analysis, TheLeaderboardJoinsARulesRuns) {
  text_run("k1", {.rule = "mdn"}, 2.5, 2.75);
  mqar_run("k2", {.rule = "mdn"}, 0.981, 0.5);
  text_run("k3", {.rule = "attention"}, 2.25, 5);
  mqar_run("k4", {.rule = "mamba2"}, 0.25, 0.125);
  const std::int64_t unguessed = ended_run(store, plan_of("k6", {.rule = "zero", .task = "mqar"}));
  add_evaluation(store, {.run_id = unguessed, .step = 100},
                 score_of("mqar", "accuracy", 0.5, R"({"pairs": 4})"));
  ended_run(store, plan_of("k5", {.rule = "broken"}), RunState::diverged, 3, "nan");
  const Table table = ask("leaderboard");
  std::vector<std::string> names;
  for (const Table::Column& column : table.columns) names.push_back(column.name);
  EXPECT_THAT(names, ElementsAre("rule", "options", "parameters", "state_bytes", "train_tokens", "data",
                                 "bits_per_byte_1x", "bits_per_byte_4x", "mqar_accuracy", "tokens_per_second",
                                 "mfu", "peak_memory_mib", "seeds", "sweep"));
  ASSERT_EQ(table.rows.size(), 4u);
  EXPECT_EQ(table.rows[3][8], "4: 0.500") << "no chance was stated";
  EXPECT_THAT(table.rows[0], ElementsAre("attention", "", "500000", "65536", "409600", "", "2.25", "5", "",
                                         "900", "0.35", "31000", "1", "quickstart"));
  EXPECT_THAT(table.rows[1], ElementsAre("mdn", "", "500000", "65536", "409600", "", "2.5", "2.75",
                                         "4: 0.981 (chance 0.016), 16: 0.500 (chance 0.016)", "900", "0.35",
                                         "31000", "1", "quickstart"));
  EXPECT_THAT(table.rows[2], ElementsAre("mamba2", "", "7", "65536", "409600", "", "", "",
                                         "4: 0.250 (chance 0.016), 16: 0.125 (chance 0.016)", "", "", "", "1",
                                         "quickstart"));
}

TEST_F(Analysis, TheLeaderboardMeansOverSeedsAndTakesTheNewestOfEach) {
  text_run("old", {.seed = 1}, 9, 9);
  store.sql().run("update run set ended_at = '2020-01-01T00:00:00.000Z' where key = 'old'");
  text_run("k1", {.seed = 1}, 2, 4);
  text_run("k2", {.seed = 2}, 3, 5);
  mqar_run("k3", {.seed = 1}, 1, 0.5);
  mqar_run("k4", {.seed = 2}, 0.5, 0.25);
  text_run("k5", {.sweep = "another"}, 1, 1);
  ensure_run(store, plan_of("k2", {.seed = 2, .sweep = "another"}));
  const Table table = ask("leaderboard");
  EXPECT_THAT(column(table, "sweep"), ElementsAre("another", "quickstart"));
  EXPECT_THAT(column(table, "seeds"), ElementsAre("2", "2"));
  EXPECT_THAT(column(table, "bits_per_byte_1x"), ElementsAre("2", "2.5")) << "a run may be in two sweeps";
  EXPECT_THAT(column(table, "bits_per_byte_4x"), ElementsAre("3", "4.5"));
  EXPECT_THAT(column(table, "mqar_accuracy"),
              ElementsAre("", "4: 0.750 (chance 0.016), 16: 0.375 (chance 0.016)"));
}

// Two texts are two rows, and neither is mixed with what was asked of it again in another way.
TEST_F(Analysis, TheLeaderboardMixesNoSettings) {
  const auto asked = [&](std::int64_t run, double bits, const std::string& more, std::int64_t n = 10) {
    Score score = score_of("text", "bits_per_byte", bits, R"({"length_factor":1)" + more + "}", 256);
    score.n = n;
    add_evaluation(store, {.run_id = run, .step = 100}, score);
  };
  for (const std::int64_t seed : {1, 2}) {
    RunPlan plan = plan_of("k" + std::to_string(seed), {.seed = seed});
    plan.config_json = R"({"data": {"path": "texts/own.txt"}, "rule": {"name": "mdn"}})";
    const std::int64_t run = ended_run(store, plan);
    asked(run, 2 + static_cast<double>(seed), R"(,"data_digest":"d1","dtype":"f32")");
    asked(run, 9, R"(,"data_digest":"d1","dtype":"f64")");                       // the same again
    asked(run, 9, R"(,"data_digest":"d1","dtype":"f32","most_tokens":100)", 5);  // a part of it
    asked(run, 5, R"(,"data_digest":"d2","data_file":"other.txt","dtype":"f32")");
  }
  const std::int64_t recall = ended_run(store, plan_of("k3", {.task = "mqar"}));
  for (const std::int64_t length : {64, 128})
    add_evaluation(
        store, {.run_id = recall, .step = 100},
        score_of("mqar", "accuracy", 32. / static_cast<double>(length), R"({"pairs": 4})", length));
  const Table table = ask("leaderboard");
  EXPECT_THAT(column(table, "data"), ElementsAre("other.txt", "own.txt"));
  EXPECT_THAT(column(table, "bits_per_byte_1x"), ElementsAre("5", "3.5"));
  EXPECT_THAT(column(table, "mqar_accuracy"),
              ElementsAre("4 in 64: 0.500, 4 in 128: 0.250", "4 in 64: 0.500, 4 in 128: 0.250"));
}

// A cell of an ablation is a row of its own, and so is an option that only some of its siblings have; the
// seed and what is asked at the end make no rows.
TEST_F(Analysis, TheLeaderboardHasARowForEveryChoiceOfOptions) {
  const auto run = [&](const std::string& key, const std::string& options, std::int64_t seed,
                       double accuracy) {
    RunPlan plan = plan_of(key, {.rule = "family", .task = "mqar", .seed = seed});
    plan.config_json = R"({"name": ")" + key + R"(", "rule": {"name": "family", )" + options +
                       R"(}, "train": {"lr": 0.01, "seed": )" + std::to_string(seed) +
                       R"(}, "eval": [{"pairs": )" + std::to_string(seed) + "}]}";
    add_evaluation(store, {.run_id = ended_run(store, plan), .step = 100},
                   score_of("mqar", "accuracy", accuracy, R"({"pairs": 4})"));
  };
  run("k1", R"("delta": true, "decay": "none")", 1, 0.5);
  run("k2", R"("delta": true, "decay": "none")", 2, 0.25);
  run("k3", R"("delta": false, "decay": "none")", 1, 1);
  run("k4", R"("delta": false, "decay": "none", "min_log_mu": -2)", 1, 0);
  text_run("k5", {.rule = "mdn"}, 2, 3);
  const Table table = ask("leaderboard");
  EXPECT_THAT(column(table, "rule"), ElementsAre("mdn", "family", "family", "family"));
  EXPECT_THAT(column(table, "options"),
              ElementsAre("", "rule.delta=false", "rule.delta=false, rule.min_log_mu=-2", "rule.delta=true"));
  EXPECT_THAT(column(table, "mqar_accuracy"), ElementsAre("", "4: 1.000", "4: 0.000", "4: 0.375"));
  EXPECT_THAT(column(table, "seeds"), ElementsAre("1", "1", "1", "2"));
}

TEST_F(Analysis, TheLossCurveIsStepByStep) {
  const std::int64_t run = text_run("k1", {}, 2.5, 2.75);
  add_metrics(store, run, std::vector<Metric>{{75, "train/loss", std::nan("")}});
  const Table table = ask("loss_curve");
  EXPECT_THAT(column(table, "step"), ElementsAre("50", "75", "100"));
  EXPECT_THAT(column(table, "train_loss"), ElementsAre("2.5", "", "1.5"));
  EXPECT_THAT(column(table, "valid_loss"), ElementsAre("", "", "1.75"));
  EXPECT_THAT(column(table, "tokens"), ElementsAre("204800", "307200", "409600"));
}

TEST_F(Analysis, RetrievalShowsAccuracyByPairsAndDepth) {
  const std::int64_t run = mqar_run("k1", {.rule = "mdn", .seed = 1}, 1, 0.5);
  mqar_run("k2", {.rule = "mdn", .seed = 2}, 0.5, 0.25);
  mqar_run("k3", {.rule = "attention"}, 1, 1);
  Score needle = score_of("needle", "accuracy", 0.75, "{}", 1024);
  needle.depth = 0.5;
  add_evaluation(store, {.run_id = run, .step = 100}, needle);
  const Table table = ask("retrieval");
  EXPECT_THAT(column(table, "rule"), ElementsAre("attention", "mdn", "attention", "mdn", "mdn"));
  EXPECT_THAT(column(table, "pairs"), ElementsAre("4", "4", "16", "16", ""));
  EXPECT_THAT(column(table, "accuracy"), ElementsAre("1", "0.75", "1", "0.375", "0.75"));
  EXPECT_THAT(column(table, "lowest"), ElementsAre("1", "0.5", "1", "0.25", "0.75"));
  EXPECT_THAT(column(table, "seeds"), ElementsAre("1", "2", "1", "2", "1"));
  EXPECT_THAT(column(table, "chance"), ElementsAre("0.015625", "0.015625", "0.015625", "0.015625", ""));
  EXPECT_THAT(column(table, "depth"), ElementsAre("", "", "", "", "0.5"));
}

TEST_F(Analysis, FailuresSayWhy) {
  const std::int64_t run =
      ended_run(store, plan_of("k1"), RunState::diverged, 30, "the loss is nan at step 30");
  add_metrics(
      store, run,
      std::vector<Metric>{{10, "train/loss", 2}, {20, "train/loss", 8}, {30, "train/loss", std::nan("")}});
  ended_run(store, plan_of("k2"), RunState::interrupted, 10);
  ended_run(store, plan_of("k3"));
  ensure_run(store, plan_of("k4"));
  const Table table = ask("failures");
  EXPECT_THAT(column(table, "run"), ElementsAre("k1", "k2"));
  EXPECT_THAT(column(table, "state"), ElementsAre("diverged", "interrupted"));
  EXPECT_THAT(column(table, "error"), ElementsAre("the loss is nan at step 30", ""));
  EXPECT_THAT(column(table, "last_loss"), ElementsAre("8", ""));
  EXPECT_THAT(column(table, "host"), ElementsAre("here", "here"));
}

}  // namespace
}  // namespace mdnlab
