// Influence: which sequences are read, at which lags, and how what is measured becomes scores.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "../error_of.h"
#include "../temporary_folder.h"
#include "asking.h"
#include "data/byte_tokenizer.h"
#include "making.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class InfluenceTask : public testing::Test {
 protected:
  InfluenceTask() {
    std::ofstream(folder_ / "text.txt") << "abcdefghijklmnopqrstuvwxyz";
    context_.tokenizer = std::make_shared<ByteTokenizer>();
    context_.base = folder_.path();
    context_.seq_len = 8;
  }
  std::unique_ptr<Task> task(const std::vector<std::string>& settings) const {
    return make_task("influence", settings, context_);
  }
  // As if trained to recall two pairs.
  void train_on_recall() {
    context_.trained = [this](std::int64_t seq_len, std::uint64_t seed) {
      return std::shared_ptr<const Task>(
          make_task("mqar", {"vocabulary=16", "pairs=2"}, {.seq_len = seq_len, .seed = seed}));
    };
  }
  std::string message(const std::vector<std::string>& settings) const {
    return error_of([&] { task(settings); }).what();
  }

  TemporaryFolder folder_;
  TaskContext context_;
};

TEST_F(InfluenceTask, ReadsBlocksOfATextUpToItsEnd) {
  const auto made = task({"path=text.txt", "lengths=8,20"});
  EXPECT_EQ(made->vocab_size(), 256);
  const auto items = made->items(Split::test);
  ASSERT_EQ(items->count(), 4) << "three of 8, one of 20";
  EXPECT_EQ(items->item(1).prompt.front(), 'i');
  EXPECT_THAT(items->item(1).prompt, SizeIs(8));
  EXPECT_THAT(items->item(1).influence_lags, ElementsAre(0, 1, 2, 4));
  EXPECT_EQ(items->item(3).length, 20);
  EXPECT_THAT(items->item(3).influence_lags, ElementsAre(0, 1, 2, 4, 8));
  EXPECT_EQ(task({"path=text.txt", "samples=2"})->items(Split::test)->count(), 2);
  EXPECT_NE(task({"path=text.txt", "lengths=9"})->data_digest(), made->data_digest());
}

TEST_F(InfluenceTask, ReadsWhatTheModelWasTrainedOn) {
  train_on_recall();
  context_.seq_len = 32;
  const auto made = task({"samples=5"});
  EXPECT_EQ(made->vocab_size(), 16 + 64);
  const auto items = made->items(Split::test);
  ASSERT_EQ(items->count(), 5);
  const auto trained = context_.trained(32, 0);
  const Batch valid = *trained->evaluation(Split::valid)->next(5 * 32);
  for (std::int64_t i = 0; i < 5; ++i) {
    const Item item = items->item(i);
    const auto labels = row_of(valid.labels_BT, i);
    auto expected = row_of(valid.tokens_BT, i);
    while (labels[expected.size() - 1] == no_label) expected.pop_back();
    EXPECT_EQ(item.prompt, expected) << "up to its last query";
    EXPECT_EQ(item.length, 32);
  }
  EXPECT_EQ(task({"samples=5"})->data_digest(), made->data_digest());
  EXPECT_NE(task({"samples=5", "seed=1"})->data_digest(), made->data_digest());
}

// What a model says whose every head holds `value`(lag) of a value.
Asked told(const Task& task, const std::function<double(std::int64_t lag)>& value) {
  return ask_all(*task.items(Split::test), [&](const Item& item) {
    Answer answer;
    for (const std::int64_t lag : item.influence_lags) {
      for (const std::int64_t layer : {-1, 0, 1}) answer.influence.push_back({lag, layer, layer, value(lag)});
    }
    return answer;
  });
}

TEST_F(InfluenceTask, AMemoryThatKeepsAllHolds1AndAnEmptyOneNothing) {
  const auto made = task({"path=text.txt", "lags=0,4"});
  for (const double kept : {0.0, 1.0}) {
    const Asked asked = told(*made, [&](std::int64_t) { return kept; });
    ASSERT_THAT(asked, SizeIs(2));
    for (const auto& [cell, values] : asked) {
      EXPECT_EQ(cell.first, "influence");
      EXPECT_THAT(values, ElementsAre(kept, kept, kept));
    }
  }
}

TEST_F(InfluenceTask, ScoresLagsAndHeadsApart) {
  const auto decay = [](std::int64_t lag) { return 1.0 / static_cast<double>(1 + lag); };
  std::vector<std::string> cells;
  for (const auto& [cell, values] : told(*task({"path=text.txt", "lags=1,3", "heads=true"}), decay)) {
    cells.push_back(cell.first + cell.second);
    EXPECT_DOUBLE_EQ(mean_of(values), cell.second.find(R"("lag":1)") != std::string::npos ? 0.5 : 0.25);
  }
  EXPECT_THAT(cells, UnorderedElementsAre(R"(influence{"lag":1})", R"(influence{"lag":3})",
                                          R"(head_influence{"lag":1,"layer":0,"head":0})",
                                          R"(head_influence{"lag":3,"layer":0,"head":0})",
                                          R"(head_influence{"lag":1,"layer":1,"head":1})",
                                          R"(head_influence{"lag":3,"layer":1,"head":1})"));
}

TEST_F(InfluenceTask, WhatCannotBeReadIsRefused) {
  EXPECT_THAT(message({}), HasSubstr("nothing says which task the model was trained on; expected path=FILE"));
  EXPECT_THAT(message({"path=gone.txt"}), HasSubstr("the data 'gone.txt' is not there"));
  EXPECT_THAT(message({"path=text.txt", "lengths=27"}),
              HasSubstr("the text has 26 tokens, too few for a sequence of 27; found [27], expected at most 26"));
  EXPECT_THAT(message({"path=text.txt", "lengths=[]"}), HasSubstr("lengths is empty"));
  EXPECT_THAT(message({"path=text.txt", "lags=8,9"}), HasSubstr("no lag is below the 8 tokens"));
  EXPECT_THAT(message({"path=text.txt", "lag=8"}), HasSubstr("did you mean 'lags'?"));
}

}  // namespace
}  // namespace mdnlab
