// Grown questions under GPT-2's tokenizer, where a token is several characters: lengths are never exceeded
// and well used, and a needle lies at its depth in tokens, too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "../temporary_folder.h"
#include "base/text.h"
#include "data/gpt2_tokenizer.h"
#include "making.h"

namespace mdnlab {
namespace {

std::filesystem::path data() {
  return std::filesystem::path(std::getenv("MDNLAB_SOURCE")) / "experiments/data";
}

const std::shared_ptr<const Tokenizer>& gpt2() {
  static const std::shared_ptr<const Tokenizer> one = std::make_shared<const Gpt2Tokenizer>(data() / "gpt2");
  return one;
}

std::string text_of(std::span<const std::int64_t> tokens) {
  return gpt2()->decode(std::vector<std::int32_t>(tokens.begin(), tokens.end()));
}

struct Case {
  const char* task;
  const char* variant;  // or ""
  std::int64_t generated;
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.task << one.variant; }

class TokenLengths : public testing::TestWithParam<Case> {
 protected:
  TokenLengths() {
    std::ofstream(folder_ / "qa.txt") << "1 Mary moved to the bathroom.\n2 John went to the hallway.\n"
                                         "3 Where is Mary? \tbathroom\t1\n4 Mary took the milk.\n"
                                         "5 What is Mary carrying? \tmilk\t4\n";
    std::ofstream(folder_ / "train.txt") << "1 Fred ran.\n2 Where is Fred? \tpark\t1\n";
  }

  std::unique_ptr<Task> make(std::vector<std::string> words) const {
    const std::string task = GetParam().task;
    if (task == "needle" || task == "common_words") words.push_back("words=" + (data() / "words").string());
    if (task == "needle" || task == "babi_long")
      words.push_back("path=" + (data() / "tinyshakespeare.txt").string());
    if (task == "needle") words.push_back(std::string("variant=") + GetParam().variant);
    if (task == "babi_long") {
      words.push_back("facts=" + (folder_ / "qa.txt").string());
      words.push_back("train_facts=" + (folder_ / "train.txt").string());
    }
    return make_task(task, words, {.tokenizer = gpt2(), .base = ".", .seq_len = 1024, .seed = 3});
  }

  TemporaryFolder folder_;
};

TEST_P(TokenLengths, AreNeverExceededAndWellUsed) {
  const auto task = make({"lengths=1024,2048,4096", "samples=1"});
  const auto items = task->items(Split::test);
  ASSERT_EQ(items->count(), 3);
  for (std::int64_t i = 0; i < items->count(); ++i) {
    const Item item = items->item(i);
    const std::int64_t length = (std::vector<std::int64_t>{1024, 2048, 4096})[static_cast<std::size_t>(i)];
    EXPECT_EQ(item.length, length);
    EXPECT_EQ(item.most_tokens, GetParam().generated);
    EXPECT_LE(std::ssize(item.prompt) + item.most_tokens, length);
    EXPECT_GT(std::ssize(item.prompt) + item.most_tokens, length - 150) << "one unit more would not fit";
    const std::string prompt = text_of(item.prompt);
    if (std::string(GetParam().task) == "babi_long")
      continue;  // the answer stands in a fact or follows from it
    for (const std::string& answer : split(items->mark(i, item, {}).answer, ','))
      EXPECT_THAT(prompt, testing::HasSubstr(trim(answer)));
  }
}

// What the labels of each of `count` training sequences spell.
std::vector<std::string> replies(const Task& task, std::int64_t count) {
  const Batch batch = task.training(0, count);
  std::vector<std::string> list;
  for (std::int64_t row = 0; row < count; ++row) {
    std::vector<std::int64_t> labels = row_of(batch.labels_BT, row);
    std::erase(labels, no_label);
    list.push_back(text_of(labels));
  }
  return list;
}

TEST_P(TokenLengths, TrainingAsksOtherQuestions) {
  const std::string name = GetParam().task;
  std::vector<std::string> settings{"lengths=1024", "samples=6"};
  if (name == "needle" || name == "babi_long") settings.push_back("train_share=0.5");
  const auto task = make(settings);
  const std::vector<std::string> trained = replies(*task, 6);
  const auto items = task->items(Split::test);
  for (std::int64_t i = 0; i < items->count(); ++i) {
    const std::vector<std::string> answers = split(items->mark(i, items->item(i), {}).answer, ',');
    for (const std::string& reply : trained) {
      const auto shared = std::ranges::count_if(
          answers, [&](const std::string& answer) { return reply.find(trim(answer)) != std::string::npos; });
      EXPECT_LT(shared, 1 + std::ssize(answers) / 3) << reply;  // lists of words have some in common
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tasks, TokenLengths,
                         testing::Values(Case{"needle", "s-niah-1", 128}, Case{"needle", "s-niah-2", 128},
                                         Case{"needle", "s-niah-3", 128}, Case{"needle", "mk-niah-1", 128},
                                         Case{"needle", "mk-niah-2", 128}, Case{"needle", "mk-niah-3", 128},
                                         Case{"needle", "mv-niah", 128}, Case{"needle", "mq-niah", 128},
                                         Case{"variable_tracking", "", 30}, Case{"common_words", "", 120},
                                         Case{"frequent_words", "", 50}, Case{"babi_long", "", 32}),
                         [](const auto& info) {
                           std::string name = std::string(info.param.task) + info.param.variant;
                           std::erase(name, '-');
                           return name;
                         });

TEST(TokenDepths, AreWhereTheyAreAskedFor) {
  for (const std::string variant :
       {"s-niah-1", "s-niah-2", "s-niah-3", "mk-niah-1", "mk-niah-2", "mk-niah-3"}) {
    const auto task = make_task("needle",
                                {"variant=" + variant, "words=" + (data() / "words").string(),
                                 "path=" + (data() / "tinyshakespeare.txt").string(), "lengths=4096",
                                 "samples=1", "depths=0,0.25,0.5,0.75,1"},
                                {.tokenizer = gpt2(), .base = "."});
    const auto items = task->items(Split::test);
    for (std::int64_t i = 0; i < 5; ++i) {
      const Item item = items->item(i);
      const double depth = static_cast<double>(i) / 4;
      EXPECT_EQ(item.depth, depth);
      const std::string prompt = text_of(item.prompt);
      const auto tokens_before = [&](std::size_t end) {
        return static_cast<double>(gpt2()->encode(prompt.substr(0, end)).size());
      };
      const double begin = tokens_before(prompt.find('\n')), end = tokens_before(prompt.rfind('\n')),
                   found = tokens_before(prompt.find(items->mark(i, item, {}).answer));
      // Prose is counted in sentences, of which some are long.
      const bool is_prose = variant != "s-niah-1" && variant != "mk-niah-2" && variant != "mk-niah-3";
      EXPECT_NEAR((found - begin) / (end - begin), depth, is_prose ? 0.08 : 0.02) << variant;
    }
  }
}

}  // namespace
}  // namespace mdnlab
