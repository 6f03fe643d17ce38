// Retention in the report, and what choices are ranked by: what counts, and how it is worked out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "report/forms.h"
#include "report_of.h"

namespace mdnlab {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(ReportOf, RetentionIsTheMeanOverLagsAndSeeds) {
  add_retention(add({.seed = 1}), {4, 2, -1});  // (1 + ½ + 0)/3
  const std::int64_t second = add({.seed = 2});
  add_retention(second, {4, 4, 4});  // 1
  for (const int lag : {16, 32})
    add_evaluation(store, {.run_id = second, .step = 100},
                   score_of("retention", "overwrite_bits", lag / 16,
                            R"({"values":16,"lag":)" + std::to_string(lag) + "}"));
  const Figure figure = section(report(), "retention").figures[0];
  EXPECT_THAT(column(figure.table, "retention"), ElementsAre("0.75"));
  EXPECT_THAT(column(figure.table, "retention_low"), ElementsAre("0.5"));
  EXPECT_THAT(column(figure.table, "retention_high"), ElementsAre("1"));
  EXPECT_THAT(column(figure.table, "overwrite_bits"), ElementsAre("1.5"));
  EXPECT_THAT(column(figure.table, "furthest_lag"), ElementsAre("64"));
  EXPECT_THAT(column(figure.table, "seeds"), ElementsAre("2"));
  // The mean curve is 4, 3, 1.5: half of 4 lies two thirds of the way from lag 32 to 64, 2^(5 + 2/3).
  EXPECT_THAT(column(figure.table, "half_life_tokens"), ElementsAre("51"));
}

TEST_F(ReportOf, RetentionIsToldForEachNumberOfWritesInBetween) {
  for (const std::int64_t state : {32768, 131072}) {
    const std::int64_t run = add({.state_bytes = state});
    add_retention(run, {4, 4, 4});
    add_evaluation(store, {.run_id = run, .step = 100},
                   score_of("retention", "information_bits", state == 32768 ? 0 : 2,
                            R"({"lag":64,"seed":9,"values":16,"writes":8})", 64));
  }
  const Section retention = section(report(), "retention");
  const Figure &by_state = retention.figures[0], &at_equal = retention.figures[1];
  EXPECT_THAT(column(by_state.table, "writes"), ElementsAre("0", "8", "0", "8"));
  EXPECT_THAT(column(by_state.table, "retention"), testing::UnorderedElementsAre("1", "1", "0", "0.5"));
  ASSERT_EQ(by_state.panels.size(), 2u);
  EXPECT_EQ(by_state.panels[1].title, "8 writes in between");
  EXPECT_THAT(column(at_equal.table, "writes"), ElementsAre("0", "8"));
  EXPECT_THAT(column(at_equal.table, "retention"), ElementsAre("1", "0.25"));
}

TEST_F(ReportOf, LinesOfOnePanelHaveOneSizeOfState) {
  // Three rules have about 128 KiB, two about 64, one 32; attention has its cache.
  for (const auto& [rule, state] : std::vector<std::pair<std::string, std::int64_t>>{{"a", 131072},
                                                                                     {"a", 65536},
                                                                                     {"b", 135680},
                                                                                     {"b", 70144},
                                                                                     {"b", 32768},
                                                                                     {"c", 135680},
                                                                                     {"attention", 1114112}})
    add_retention(add({.rule = rule, .state_bytes = state}), {4, 3, state == 65536 ? 1.0 : 2.0});
  const Section retention = section(report(), "retention");
  const Figure& figure = retention.figures.back();
  ASSERT_EQ(figure.file, "information_1");
  EXPECT_THAT(figure.about,
              AllOf(HasSubstr("Of rules with 128.0 to 132.5 KiB of state, the size nearest to 64 KiB"),
                    HasSubstr("Attention is the ceiling")));
  const auto names = [](const std::vector<LegendEntry>& legend) {
    std::vector<std::string> list;
    for (const LegendEntry& entry : legend) list.push_back(entry.name.substr(0, entry.name.find(", rule.")));
    return list;
  };
  EXPECT_THAT(names(figure.legend), ElementsAre("a", "b", "c", "attention, the ceiling at 1.1 MiB"));
  ASSERT_EQ(figure.panels.size(), 1u);
  ASSERT_EQ(figure.folded.size(), 2u);
  EXPECT_EQ(figure.folded[0].title, "At 32.0 KiB of state");
  EXPECT_THAT(names(figure.folded[0].legend), ElementsAre("b", "attention, the ceiling at 1.1 MiB"));
  EXPECT_EQ(figure.folded[1].title, "At 64.0 to 68.5 KiB of state");
  EXPECT_THAT(names(figure.folded[1].legend), ElementsAre("a", "b", "attention, the ceiling at 1.1 MiB"));
  EXPECT_EQ(figure.table.rows.size(), 7u * 3) << "the table has all";
  EXPECT_THAT(html_page(report()), HasSubstr("<details><summary>At 32.0 KiB of state</summary>"));
}

TEST_F(ReportOf, OfSizesThatAsManyRulesHaveTheOneNearestTo64KiBIsShown) {
  for (const std::int64_t state : {16384, 81920, 1048576}) {
    for (const char* rule : {"a", "b"}) add_retention(add({.rule = rule, .state_bytes = state}), {4, 3, 2});
  }
  const Figure figure = section(report(), "retention").figures.back();
  EXPECT_THAT(figure.about, HasSubstr("Of rules with 80.0 KiB of state,"));
  ASSERT_EQ(figure.folded.size(), 2u);
  EXPECT_EQ(figure.folded[1].title, "At 1.0 MiB of state");
}

TEST_F(ReportOf, ADivergedSeedCountsAs0AndIsListed) {
  add_retention(add({.seed = 1}), {4, 4, 4});
  add({.seed = 2}, 9, RunState::diverged);
  const Report told = report();
  const Figure figure = section(told, "retention").figures[0];
  EXPECT_THAT(column(figure.table, "retention"), ElementsAre("0.5"));
  EXPECT_THAT(column(figure.table, "diverged"), ElementsAre("1"));
  EXPECT_THAT(column(section(told, "failures").figures[0].table, "error"), ElementsAre("not finite"));
}

TEST_F(ReportOf, AtEqualStateIsInterpolatedInTheLogarithm) {
  for (const std::int64_t seed : {1, 2}) {
    add_retention(add({.seed = seed, .state_bytes = 32768}), {0, 0, 0});
    add_retention(add({.seed = seed, .state_bytes = 131072}), {4, 4, 4});
  }
  const Section retention = section(report(), "retention");
  ASSERT_EQ(retention.figures[1].file, "retention_at_equal_state");
  EXPECT_THAT(column(retention.figures[1].table, "retention"), ElementsAre("0.5"));
  EXPECT_THAT(column(retention.figures[1].table, "state_bytes"), ElementsAre("65536"))
      << "1 MiB lies beyond what was measured";
}

TEST_F(ReportOf, TheLearningRateIsChosenOnValidation) {
  // The rate of the better test score has the worse validation loss.
  add_retention(add({.seed = 1, .lr = 1e-3}, 2.0), {1, 1, 1});
  add_retention(add({.seed = 1, .lr = 2e-3}, 2.5), {4, 4, 4});
  // This one would be better still, had it not diverged.
  add({.seed = 1, .lr = 4e-3}, 0.5, RunState::diverged);
  const Section leaderboard = section(report(), "leaderboard");
  EXPECT_THAT(column(leaderboard.figures[0].table, "retention"), ElementsAre("0.25"));
  EXPECT_THAT(column(leaderboard.figures[0].table, "lr"), ElementsAre("0.001"));
}

TEST_F(ReportOf, ShowsEachLearningRateThatWasTried) {
  add({.seed = 1, .lr = 1e-3}, 2.0);
  add({.seed = 2, .lr = 1e-3}, 2.2);
  add({.seed = 1, .lr = 2e-3}, 2.5);
  add({.seed = 1, .lr = 4e-3}, 0.5, RunState::diverged);
  add({.rule = "kda"}, 1);  // without a choice
  const Section rates = section(report(), "rates");
  ASSERT_EQ(rates.figures.size(), 1u);
  const Grid& grid = rates.figures[0].table;
  EXPECT_THAT(column(grid, "rule"), Each("mdn"));
  EXPECT_THAT(column(grid, "lr"), ElementsAre("0.001", "0.002", "0.004"));
  EXPECT_THAT(column(grid, "valid_loss_nats"), ElementsAre("2.1", "2.5", ""));
  EXPECT_THAT(column(grid, "seeds"), ElementsAre("2", "1", "1"));
  EXPECT_THAT(column(grid, "diverged"), ElementsAre("0", "0", "1"));
  EXPECT_THAT(column(grid, "chosen"), ElementsAre("chosen", "", ""));
  EXPECT_EQ(rates.figures[0].panels.size(), 1u);
}

TEST_F(ReportOf, SaysHowLearningRatesAreCompared) {
  add({.seed = 1, .lr = 1e-3});
  const Section rates = section(report(), "rates");
  EXPECT_TRUE(rates.is_empty());
  EXPECT_THAT(rates.how_to_fill, HasSubstr("train.lr"));
}

TEST_F(ReportOf, RetentionIsRankedOverTheWritesInBetween) {
  const std::int64_t fragile = add({.rule = "fragile", .seed = 1}),
                     robust = add({.rule = "robust", .seed = 1});
  add_retention(fragile, {4, 4, 4});
  add_retention(fragile, {2, 0, 0}, 8);
  add_retention(robust, {4, 4, 3});
  add_retention(robust, {4, 3, 3}, 8);
  const Grid grid = section(report(), "leaderboard").figures[0].table;
  EXPECT_THAT(column(grid, "rule"), ElementsAre("robust", "fragile"));
  EXPECT_THAT(column(grid, "retention_over_writes"), ElementsAre("0.875", HasSubstr("0.58333")));
  EXPECT_THAT(column(grid, "retention"), ElementsAre(HasSubstr("0.91"), "1"));
}

TEST_F(ReportOf, DifferencesAreToTheBestAndCorrected) {
  for (const std::int64_t seed : {1, 2, 3}) {
    const auto shift = 0.1 * static_cast<double>(seed);
    add_retention(add({.rule = "best", .seed = seed}), {4 - shift, 4 - shift, 4 - shift});
    add_retention(add({.rule = "worse", .seed = seed}), {1 + shift, 1, 1});
    add_retention(add({.rule = "worst", .seed = seed}), {shift, 0, 0});
  }
  const Section leaderboard = section(report(), "leaderboard");
  const Grid& grid = leaderboard.figures.back().table;
  ASSERT_EQ(leaderboard.figures.back().file, "differences");
  ASSERT_EQ(grid.rows.size(), 2u);
  for (const std::string& best : column(grid, "best")) EXPECT_THAT(best, HasSubstr("best"));
  EXPECT_THAT(column(grid, "items"), ElementsAre("9", "9"));
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_LT(std::stod(column(grid, "difference_high")[i]), 0);
    EXPECT_NEAR(std::stod(column(grid, "p_holm")[i]), 2 * std::stod(column(grid, "p")[i]), 1e-12);
  }
}

}  // namespace
}  // namespace mdnlab
