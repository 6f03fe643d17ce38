// From a database to its report: what is said.
#include "report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "report/comparison_table.h"
#include "report/forms.h"
#include "report/sections.h"
#include "report_of.h"
#include "store/benches.h"
#include "store/metrics.h"

namespace mdnlab {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

TEST_F(ReportOf, AnEmptyDatabaseSaysWhatToRun) {
  const Report empty = report();
  for (const Section& one : empty.sections) EXPECT_TRUE(one.is_empty()) << one.id;
  EXPECT_THAT(empty.summary, HasSubstr("no results yet"));
  for (const std::string& form : {html_page(empty), markdown_page(empty)}) {
    EXPECT_THAT(form, HasSubstr("mdnlab run experiments/quickstart.yaml"));
    EXPECT_THAT(form, HasSubstr("mdnlab run experiments/retention.yaml"));
  }
  testing::internal::CaptureStderr();
  comparison_table(file, TableFormat::markdown);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("nothing to compare yet; `mdnlab run experiments/quickstart.yaml`"));
}

TEST_F(ReportOf, AScoreOfNoOtherSectionIsDrawnAndStandsInATable) {
  const std::int64_t run = add({});
  for (const char* set : {"piqa", "copa"}) {
    add_evaluation(store, {.run_id = run, .step = 100},
                   with_items(score_of("choice", "acc", 0.75,
                                       R"({"set":")" + std::string(set) +
                                           R"(","chance":0.5,"dtype":"f32","samples":4})"),
                              {1, 1, 0, 1}));
  }
  add_retention(run, {4, 4, 4});
  const Section scores = section(report(), "scores");
  ASSERT_EQ(scores.figures.size(), 1u);
  EXPECT_EQ(scores.figures[0].title, "choice");
  EXPECT_THAT(scores.figures[0].about, HasSubstr("All with samples=4."));
  const Grid& table = scores.figures[0].table;
  EXPECT_THAT(column(table, "value"), ElementsAre("0.75", "0.75"));
  EXPECT_THAT(column(table, "chance"), ElementsAre("0.5", "0.5"));
  EXPECT_THAT(column(table, "settings"), ElementsAre("set=copa", "set=piqa"));
  EXPECT_THAT(column(table, "seeds"), ElementsAre("1", "1"));
  EXPECT_LT(std::stod(column(table, "value_low")[0]), 0.75);
  ASSERT_EQ(scores.figures[0].panels.size(), 1u);
  EXPECT_THAT(scores.figures[0].panels[0].svg,
              AllOf(HasSubstr(", set=copa<"), HasSubstr(", set=piqa<"), HasSubstr(">acc<")));
  EXPECT_EQ(scores.figures[0].legend.size(), 1u);
}

TEST_F(ReportOf, TwoFilesOfOneTaskAreTwoSettings) {
  // d1 and d2 are two texts; two names of d1 are one.
  const std::int64_t first = add({.seed = 1}), second = add({.seed = 2});
  const auto ask = [&](std::int64_t run, const char* digest, const char* file_name, double value,
                       const char* task, const char* metric, const std::string& more = "") {
    Score score = score_of(task, metric, value,
                           R"({"data_digest":")" + std::string(digest) + R"(","data_file":")" + file_name +
                               R"(","dtype":"f32")" + more + "}",
                           512);
    if (score.task == "needle") score.depth = 0.5;
    add_evaluation(store, {.run_id = run, .step = 100}, score);
  };
  const auto ask_all = [&](const char* task, const char* metric, const std::string& more = "") {
    ask(first, "d1", "a.txt", 10, task, metric, more);
    ask(second, "d1", "copy_of_a.txt", 12, task, metric, more);
    ask(first, "d2", "b_2.txt", 20, task, metric, more);
  };
  ask_all("wikitext", "word_perplexity");
  ask_all("text", "perplexity", R"(,"position_from":0,"position_to":256)");
  ask_all("text", "perplexity", R"(,"position_from":256,"position_to":512)");
  ask_all("text", "bits_per_byte", R"(,"length_factor":1)");
  ask_all("needle", "accuracy");
  ask_all("influence", "influence", R"(,"lag":4)");
  const Report told = report();

  const Figure wikitext = section(told, "scores").figures[1];
  ASSERT_EQ(wikitext.title, "wikitext");
  EXPECT_THAT(column(wikitext.table, "settings"), ElementsAre("data=copy_of_a.txt", "data=b_2.txt"));
  EXPECT_THAT(column(wikitext.table, "value"), ElementsAre("11", "20"));
  EXPECT_THAT(column(wikitext.table, "seeds"), ElementsAre("2", "1"));
  EXPECT_THAT(wikitext.panels[0].svg,
              AllOf(HasSubstr("512 tokens, data=copy_of_a.txt<"), HasSubstr("512 tokens, data=b_2.txt<")));

  const Figure position = section(told, "position").figures[0];
  EXPECT_THAT(column(position.table, "settings"),
              ElementsAre("data=b_2.txt", "data=b_2.txt", "data=copy_of_a.txt", "data=copy_of_a.txt"));
  EXPECT_THAT(column(position.table, "position_from"), ElementsAre("0", "256", "0", "256"));
  ASSERT_EQ(position.panels.size(), 2u);
  EXPECT_EQ(position.panels[0].title, "text, 512 tokens, data=b_2.txt");

  const Section needles = section(told, "needles");
  ASSERT_EQ(needles.figures.size(), 2u);
  EXPECT_THAT(needles.figures[0].title, HasSubstr("needle, data=b_2.txt. "));
  EXPECT_THAT(column(needles.figures[0].table, "accuracy"), ElementsAre("20"));

  EXPECT_THAT(column(section(told, "influence").figures[0].table, "data"),
              ElementsAre("b_2.txt", "copy_of_a.txt"));

  const Grid leaderboard = section(told, "leaderboard").figures[0].table;
  EXPECT_THAT(column(leaderboard, "copy_of_a.txt: bits_per_byte_1x"), ElementsAre("11"));
  EXPECT_THAT(column(leaderboard, "b_2.txt: bits_per_byte_1x"), ElementsAre("20"));
  EXPECT_THAT(leaderboard.for_reading().text(TableFormat::markdown),
              HasSubstr(" b_2.txt: bits per byte 1x |"));
}

TEST_F(ReportOf, OfOneSeedTheIntervalIsTheStoredOneOrNone) {
  const auto ask = [&](const char* rule, std::int64_t seed, double bits, bool has_interval) {
    Score score = score_of("text", "bits_per_byte", bits, R"({"length_factor":1})");
    score.stderr_value = std::nullopt;
    if (has_interval) {
      score.low = bits - 0.25;
      score.high = bits + 0.5;
    }
    add_evaluation(store, {.run_id = add({.rule = rule, .seed = seed}), .step = 100}, score);
  };
  ask("alone", 1, 2, true);
  ask("older", 1, 3, false);
  ask("pair", 1, 4, true);
  ask("pair", 2, 5, true);
  const Report told = report();
  const Grid leaderboard = section(told, "leaderboard").figures[0].table;
  EXPECT_THAT(column(leaderboard, "bits_per_byte_1x"), ElementsAre("2", "3", "4.5"));
  EXPECT_THAT(column(leaderboard, "bits_per_byte_1x_low"), ElementsAre("1.75", "", "4"));
  EXPECT_THAT(column(leaderboard, "bits_per_byte_1x_high"), ElementsAre("2.5", "", "5"));
  EXPECT_THAT(leaderboard.for_reading().text(TableFormat::markdown),
              AllOf(HasSubstr(" 2.000 [1.750 to 2.500, n 10] |"), HasSubstr(" 3.000 [n 10] |")));
  EXPECT_THAT(column(section(told, "scores").figures[0].table, "value_low"), ElementsAre("1.75", "", "4"));
}

TEST_F(ReportOf, FilesOfOneNameAreToldApartByTheirDigests) {
  const std::int64_t run = add({});
  for (const char* digest : {"0123456789", "abcdef6789"}) {
    add_evaluation(store, {.run_id = run, .step = 100},
                   score_of("contains", "accuracy", 0.5,
                            R"({"data_file":"test.jsonl","data_digest":")" + std::string(digest) + R"("})"));
    add_evaluation(
        store, {.run_id = run, .step = 100},  // as versions stored it that kept no name
        score_of("lambada", "accuracy", 0.5, R"({"data_digest":")" + std::string(digest) + R"("})"));
  }
  const Section scores = section(report(), "scores");
  EXPECT_THAT(column(scores.figures[0].table, "settings"),
              ElementsAre("data=test.jsonl (01234567)", "data=test.jsonl (abcdef67)"));
  EXPECT_THAT(column(scores.figures[1].table, "settings"),
              ElementsAre("data_digest=01234567", "data_digest=abcdef67"));
}

TEST_F(ReportOf, InfluenceIsShownByLagAndByHead) {
  const std::int64_t run = add({});
  const auto add_influence = [&](const char* metric, double value, const std::string& cell) {
    add_evaluation(store, {.run_id = run, .step = 100},
                   with_items(score_of("influence", metric, value, cell, 64), {value, value}));
  };
  for (const auto& [lag, value] : {std::pair{0, 0.5}, {16, 0.25}, {2, 0.5}}) {
    const std::string at = R"({"lag":)" + std::to_string(lag);
    add_influence("influence", value, at + "}");
    add_influence("head_influence", value, at + R"(,"layer":0,"head":0})");
    add_influence("head_influence", value / 100, at + R"(,"layer":1,"head":0})");
  }
  Score fewer = score_of("influence", "influence", 9, R"({"lag":2,"samples":1})", 64);
  fewer.n = 1;
  add_evaluation(store, {.run_id = run, .step = 100}, with_items(fewer, {9}));
  const Section shown = section(report(), "influence");
  ASSERT_EQ(shown.figures.size(), 2u);
  const Figure &by_lag = shown.figures[0], &by_head = shown.figures[1];
  EXPECT_THAT(column(by_lag.table, "lag"), ElementsAre("0", "2", "16"));
  EXPECT_THAT(column(by_lag.table, "influence"), ElementsAre("0.5", "0.5", "0.25"));
  ASSERT_EQ(by_lag.panels.size(), 1u);
  EXPECT_EQ(by_lag.panels[0].title, "64 tokens");
  EXPECT_THAT(column(by_head.table, "layer"), ElementsAre("0", "0", "0", "1", "1", "1"));
  EXPECT_THAT(column(by_head.table, "influence"),
              ElementsAre("0.5", "0.5", "0.25", "0.005", "0.005", "0.0025"));
  ASSERT_EQ(by_head.panels.size(), 1u);
  EXPECT_THAT(by_head.panels[0].svg, AllOf(HasSubstr("1.00"), HasSubstr("0.50"), Not(HasSubstr("nan"))));
  EXPECT_TRUE(section(report(), "scores").is_empty());
}

TEST_F(ReportOf, OfOneItemNoIntervalIsDrawn) {
  const std::int64_t run = add({});
  for (const auto& [lag, value] : {std::pair{2, 0.5}, {16, 0.25}}) {
    Score one = score_of("influence", "influence", value, R"({"lag":)" + std::to_string(lag) + "}", 64);
    one.n = 1;
    add_evaluation(store, {.run_id = run, .step = 100}, with_items(one, {value}));
  }
  const Figure by_lag = section(report(), "influence").figures.at(0);
  ASSERT_EQ(by_lag.panels.size(), 1u);
  EXPECT_THAT(by_lag.panels[0].svg, Not(AnyOf(HasSubstr("class=\"band\""), HasSubstr("class=\"whisker\""))));
}

TEST_F(ReportOf, EveryTableHasNAndEveryFigureItsQuery) {
  const std::int64_t run = add({});
  add_retention(run, {4, 3, 2});
  const EvaluatedModel model{.run_id = run, .step = 100};
  for (const double depth : {0.0, 0.5}) {
    Score needle = score_of("needle", "accuracy", 0.5, R"({"variant":"s-niah-1"})", 1024);
    needle.depth = depth;
    add_evaluation(store, model, needle);
  }
  for (const int from : {0, 256})
    add_evaluation(store, model,
                   score_of("text", "perplexity", 5,
                            R"({"position_from":)" + std::to_string(from) + R"(,"position_to":)" +
                                std::to_string(from + 256) + "}",
                            512));
  add_bench(store, {.rule = "mdn",
                    .device = "cuda",
                    .dtype = "bf16",
                    .batch = 8,
                    .tokens = 4096,
                    .heads = 6,
                    .key_width = 128,
                    .value_width = 256,
                    .direction = "fwd",
                    .median_ms = 0.5,
                    .spread_ms = 0.1,
                    .machine_id = ensure_machine(store, machine_of("here")),
                    .build_id = ensure_build(store, some_build)});
  add({.rule = "kda"}, 2, RunState::diverged);
  const Report told = make_report(
      file, Plugins(), std::filesystem::path(std::getenv("MDNLAB_SOURCE")) / "experiments/data/peers.csv");
  std::vector<std::string> ids;
  for (const Section& one : told.sections) {
    if (!one.is_empty()) ids.push_back(one.id);
    for (const Figure& figure : one.figures) {
      EXPECT_FALSE(figure.queries.empty()) << figure.file;
      const std::string header = figure.table.exact().text(TableFormat::csv);
      if (one.id != "failures" && one.id != "kernels" && one.id != "stability") {
        EXPECT_THAT(header.substr(0, header.find('\n')), HasSubstr("seeds")) << figure.file;
      }
    }
  }
  EXPECT_THAT(ids, IsSupersetOf({"leaderboard", "retention", "needles", "loss", "position", "kernels",
                                 "failures", "configurations"}));
  const Grid kernels = section(told, "kernels").figures[0].table;
  EXPECT_THAT(column(kernels, "times_as_fast"), ElementsAre("3.27"));

  write_csv_folder(told, folder / "tables");
  EXPECT_THAT(read_file(folder / "tables" / "kernels_1.csv"), HasSubstr("MDN authors (Triton)"));
  EXPECT_THAT(read_file(folder / "tables" / "queries" / "scores.sql"), HasSubstr("-- Every score"));
  EXPECT_THAT(markdown_page(told), AllOf(HasSubstr("## Leaderboard"),
                                         HasSubstr("From `mdnlab query runs`, `mdnlab query scores`.")));
}

TEST_F(ReportOf, WordsFromOutsideAreText) {
  const std::string evil = "<script>alert(1)</script>";
  add_retention(add({.rule = evil, .sweep = evil}), {4, 3, 2});
  add({.rule = evil, .sweep = evil, .seed = 2}, 2, RunState::diverged);
  const std::string page = html_page(report());
  EXPECT_THAT(page, AllOf(Not(HasSubstr("<script")), HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;")));
  EXPECT_THAT(page, AllOf(Not(HasSubstr("http://")), Not(HasSubstr("https://"))))
      << "nothing from the network";
}

TEST_F(ReportOf, RunsThatDifferBySeedAloneShareOneDocument) {
  for (const std::int64_t seed : {1, 2, 3}) add({.seed = seed});
  add({.lr = 5e-3});
  const Section configurations = section(report(), "configurations");
  ASSERT_EQ(configurations.texts.size(), 2u);
  EXPECT_THAT(configurations.texts[0].title,
              AllOf(HasSubstr("k1 (seed 1, done)"), HasSubstr("k3 (seed 3, done)")));
}

TEST_F(ReportOf, EqualDatabasesGiveEqualPages) {
  add_retention(add({.seed = 1}), {4, 2, 1});
  add_retention(add({.seed = 2}), {3, 3, 3});
  EXPECT_EQ(html_page(report()), html_page(report()));
}

}  // namespace
}  // namespace mdnlab
