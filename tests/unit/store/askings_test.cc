// Evaluations under way: what is answered stays, and nothing is there twice.
#include "store/askings.h"

#include <gtest/gtest.h>

#include "../temporary_folder.h"
#include "database.h"

namespace mdnlab {
namespace {

class Askings : public testing::Test {
 protected:
  std::int64_t count(const std::string& what) { return store.sql().integer("select count(*) from " + what); }

  TemporaryFolder folder;
  Store store = Store::open(folder / "a.db");
  const EvaluatedModel model{.digest = "d1"};
};

TEST_F(Askings, AreOneForEachModelTaskAndSettings) {
  const std::int64_t first = ensure_asking(store, model, "needle", R"({"seed": 1, "a": 2})");
  EXPECT_EQ(ensure_asking(store, model, "needle", R"({"a":2,"seed":1})"), first);
  EXPECT_NE(ensure_asking(store, model, "needle", R"({"a":2,"seed":2})"), first);
  EXPECT_NE(ensure_asking(store, model, "mqar", R"({"a":2,"seed":1})"), first);
  EXPECT_NE(ensure_asking(store, {.digest = "d2"}, "needle", R"({"a":2,"seed":1})"), first);
  const std::int64_t run = ended_run(store, plan_of("k1"));
  const std::int64_t of_run = ensure_asking(store, {.run_id = run, .step = 5}, "needle", "{}");
  EXPECT_EQ(ensure_asking(store, {.run_id = run, .step = 5, .digest = "d1"}, "needle", "{}"), of_run);
  EXPECT_NE(ensure_asking(store, {.run_id = run, .step = 6}, "needle", "{}"), of_run);
}

TEST_F(Askings, KeepEachAnswerOnceUntilTheyEnd) {
  const std::int64_t asking = ensure_asking(store, model, "needle", "{}");
  add_answered(store, asking, std::vector<AnsweredItem>{{3, R"({"v":1})"}, {1, R"({"v":2})"}});
  add_answered(store, asking, std::vector<AnsweredItem>{{3, R"({"v":9})"}, {2, R"({"v":3})"}});
  const std::vector<AnsweredItem> items = answered_items(store, asking);
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(items[0].item, 1);
  EXPECT_EQ(items[2].marked_json, R"({"v":1})");
  EXPECT_FALSE(ended_scores(store, asking));

  std::vector<Score> scores(2, with_items(score_of("needle", "accuracy", 0.5, R"({"a":1})"), {0, 1}));
  scores[0].low = 0.25;
  scores[0].high = 0.75;
  scores[1].settings_json = R"({"a":2})";  // as a version stored it that knew no interval
  end_asking(store, asking, model, scores);
  EXPECT_TRUE(answered_items(store, asking).empty());
  EXPECT_EQ(count("evaluation"), 2);
  EXPECT_EQ(count("evaluation_item"), 4);
  const auto ended = ended_scores(store, asking);
  ASSERT_TRUE(ended);
  EXPECT_EQ((*ended)[0].value, 0.5);
  EXPECT_EQ((*ended)[0].settings_json, R"({"a":1})");
  EXPECT_EQ((*ended)[0].low, 0.25);
  EXPECT_EQ((*ended)[0].high, 0.75);
  EXPECT_TRUE((*ended)[0].items.empty());
  EXPECT_FALSE((*ended)[1].low || (*ended)[1].high);
  ASSERT_EQ((*ended)[1].items.size(), 2u) << "to work it out from";
  EXPECT_EQ((*ended)[1].items[1].value, 1);

  // A later answer to the same question takes the score's place: the old asking no longer speaks for it.
  add_evaluation(store, model, scores[0]);
  EXPECT_FALSE(ended_scores(store, asking));
}

TEST_F(Askings, GoWithTheStepsOfARunThatAreGivenUp) {
  const std::int64_t run = ended_run(store, plan_of("k1"));
  for (const int step : {10, 20}) {
    const std::int64_t asking = ensure_asking(store, {.run_id = run, .step = step}, "needle", "{}");
    add_answered(store, asking, std::vector<AnsweredItem>{{0, "{}"}});
  }
  resume_from(store, run, 10);
  EXPECT_EQ(count("asking where step = 10"), 1);
  EXPECT_EQ(count("asking"), 1);
  EXPECT_EQ(count("asking_item"), 1);
}

}  // namespace
}  // namespace mdnlab
