// Evaluations that are interrupted go on where they were.
#include "run/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/fields.h"
#include "experiment.h"
#include "store/askings.h"

namespace mdnlab {
namespace {

class Evaluations : public testing::Test {
 protected:
  Evaluations() {
    std::string lines;
    for (int i = 0; i < 40; ++i)
      lines += R"({"context":"item )" + std::to_string(i) + R"( is","choices":["odd","even"],"answer":)" +
               std::to_string(1 - i % 2) + "}\n";
    experiments.put("items.jsonl", lines);
    choice.kind = &find_task("choice", {});
    choice.options = read_settings(std::vector{"path=" + (experiments / "items.jsonl").string()}, "choice",
                                   choice.kind->fields);
    TaskContext context;
    context.tokenizer = make_tokenizer("byte", ".");
    context.base = ".";
    task = choice.kind->make(choice.options, context);
  }

  std::optional<std::vector<Score>> evaluate(std::int64_t stop_after = 1'000'000) {
    asked = 0;
    std::int64_t seen = 0;
    return evaluate_and_store(store, identity, model, "f64", choice, *task,
                              {.should_stop = [&] { return asked >= stop_after; },
                               .progress =
                                   [&](std::int64_t done, std::int64_t count) {
                                     ++asked;
                                     EXPECT_GT(done, seen);
                                     seen = done;
                                     EXPECT_EQ(count, 40);
                                   }});
  }
  std::int64_t count(const std::string& what) { return store.sql().integer("select count(*) from " + what); }

  Experiments experiments;
  Store store = Store::open(experiments / "a.db");
  const EvaluatedModel identity{.digest = "d1"};
  const LanguageModel model{
      read_model(
          parse_yaml("rule: mdn\nmodel: {hidden_size: 16, num_hidden_layers: 2, num_heads: 1}", "t.yaml"),
          plugins()),
      plugins(), 256, at::kDouble, 1};
  TaskChoice choice;
  std::unique_ptr<const Task> task;
  std::int64_t asked = 0;  // items, in the newest evaluation
};

TEST_F(Evaluations, StoreScoresWithTheirSettingsAndItems) {
  const auto scores = evaluate();
  ASSERT_TRUE(scores);
  ASSERT_EQ(scores->size(), 2u);
  EXPECT_EQ((*scores)[0].metric, "acc");
  EXPECT_EQ((*scores)[0].n, 40);
  EXPECT_EQ(count("evaluation where task = 'choice' and metric in ('acc', 'acc_norm') and model_digest = 'd1'"
                  " and settings_json ->> 'dtype' = 'f64' and settings_json ->> 'device' = 'cpu'"
                  " and settings_json ->> 'set' = 'jsonl' and settings_json ->> 'version' = 1"
                  " and settings_json ->> 'chance' = 0.5 and settings_json ->> 'path' is null"
                  " and settings_json ->> 'data_file' = 'items.jsonl'"
                  " and length(settings_json ->> 'data_digest') = 64"),
            2);
  EXPECT_EQ(count("evaluation_item where length(prompt_digest) = 64 and answer in ('odd', 'even')"
                  " and prediction in ('odd', 'even')"),
            80);
  EXPECT_EQ(count("asking_item"), 0);

  // Asked again, nothing is asked.
  const auto again = evaluate();
  ASSERT_TRUE(again);
  EXPECT_EQ(asked, 0);
  EXPECT_EQ((*again)[1].value, (*scores)[1].value);
  EXPECT_EQ((*again)[0].low, (*scores)[0].low);

  // Nor where an older version stored scores without an interval, whose items are there.
  store.sql().script("update evaluation set low = null, high = null");
  const auto older = evaluate();
  EXPECT_EQ(asked, 0);
  ASSERT_TRUE((*scores)[0].low && (*scores)[0].high);
  EXPECT_EQ((*older)[0].low, (*scores)[0].low);
  EXPECT_EQ((*older)[0].high, (*scores)[0].high);
}

TEST_F(Evaluations, GoOnWithWhatIsLeftAndAskNoItemTwice) {
  const auto whole = evaluate();
  store.sql().script("delete from evaluation; delete from asking");
  EXPECT_FALSE(evaluate(0));  // stopped before the first batch
  EXPECT_EQ(asked, 0);
  const std::int64_t asking = store.sql().integer("select id from asking");
  // Some items, as an earlier process left them.
  (void)evaluate();
  std::vector<AnsweredItem> some;
  {
    Statement rows = store.sql().query(
        "select item, evaluation_item.value, prompt_digest, answer, prediction from evaluation_item join evaluation on "
        "evaluation.id = evaluation_id where metric = 'acc' and item % 3 = 0");
    while (rows.step()) {
      some.push_back({rows.integer(0), R"({"prompt_digest":")" + rows.text(2) + R"(","answer":")" +
                                           rows.text(3) + R"(","prediction":")" + rows.text(4) +
                                           R"(","values":[["acc",")" + std::to_string(rows.integer(1)) +
                                           R"(","1",false,"{\"chance\":0.5}"]]})"});
    }
  }
  ASSERT_EQ(some.size(), 14u);
  store.sql().script("delete from evaluation; update asking set evaluations_json = null");
  add_answered(store, asking, some);
  const auto rest = evaluate();
  ASSERT_TRUE(rest);
  EXPECT_EQ(asked, 40 - 14);
  EXPECT_EQ((*rest)[0].n, 40);
  EXPECT_EQ((*rest)[0].value, (*whole)[0].value);
}

// A text is items too: its windows.
TEST_F(Evaluations, ATextGoesOnWithTheWindowsThatAreLeft) {
  std::string text;
  for (int i = 0; i < 6000; ++i) text += "sentence " + std::to_string(i * i % 977) + ". ";
  experiments.put("text.txt", text);
  const Params data = read_settings(
      std::vector{"path=" + (experiments / "text.txt").string(), std::string("split=[0.6, 0.1, 0.3]")},
      "data", data_fields());
  choice.kind = &find_task("text", {});
  choice.options = read_settings(std::vector<std::string>{"length_factors=1,2"}, "text", choice.kind->fields);
  task =
      choice.kind->make(choice.options, {.corpus = std::make_shared<const Corpus>(data, "."), .seq_len = 64});
  const std::int64_t windows = task->items(Split::test)->count();

  const auto in_parts = [&](std::int64_t stop_after) {
    asked = 0;
    return evaluate_and_store(store, identity, model, "f64", choice, *task,
                              {.should_stop = [&] { return asked >= stop_after; },
                               .progress = [&](std::int64_t, std::int64_t) { ++asked; }});
  };
  EXPECT_FALSE(in_parts(1));
  const std::int64_t first = asked;
  EXPECT_GT(first, 0);
  EXPECT_LT(first, windows);
  EXPECT_EQ(count("asking_item"), first);
  const auto parts = in_parts(windows);
  ASSERT_TRUE(parts);
  EXPECT_EQ(asked, windows - first) << "none twice";

  store.sql().script("delete from evaluation; delete from asking");
  const auto whole = in_parts(windows + 1);
  ASSERT_TRUE(whole);
  ASSERT_EQ(whole->size(), parts->size());
  for (std::size_t i = 0; i < whole->size(); ++i) {
    EXPECT_EQ((*whole)[i].n, (*parts)[i].n);
    EXPECT_NEAR((*whole)[i].value, (*parts)[i].value, 1e-12 * (*whole)[i].value) << (*whole)[i].metric;
  }
}

}  // namespace
}  // namespace mdnlab
