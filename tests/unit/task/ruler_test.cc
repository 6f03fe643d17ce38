// The other questions in grown texts: variables, common words, frequent words, bAbI's stories. Each prompt
// holds what its answers say, and nothing but them answers it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "../error_of.h"
#include "base/text.h"
#include "task/item.h"
#include "text_questions.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// check(prompt, answers) of each item; that prompts fit, an oracle scores 100 and silence 0.
template <class Check>
void for_each(const Task& task, std::size_t generated, Check check) {
  const auto items = task.items(Split::test);
  for (std::int64_t i = 0; i < items->count(); ++i) {
    const Item item = items->item(i);
    EXPECT_LE(item.prompt.size() + generated, static_cast<std::size_t>(*item.length));
    EXPECT_GT(item.prompt.size() + generated, static_cast<std::size_t>(*item.length) * 9 / 10);
    const std::string answers = items->mark(i, item, {}).answer;
    EXPECT_EQ(items->mark(i, item, {.text = answers}).values.at(0).value, 1);
    EXPECT_EQ(items->mark(i, item, {.text = "#"}).values.at(0).value, 0);
    std::vector<std::string> list;
    for (const std::string& answer : split(answers, ',')) list.push_back(trim(answer));
    check(text_of(item.prompt), list);
  }
}

std::map<std::string, int> counts(const std::string& text) {
  std::map<std::string, int> counts;
  std::istringstream words(text);
  for (std::string word; words >> word;) ++counts[word];
  return counts;
}

// What stands after the last occurrence of `from`, before the next `to`.
std::string last_between(const std::string& text, const std::string& from, const std::string& to) {
  const std::size_t begin = text.rfind(from) + from.size();
  return text.substr(begin, text.find(to, begin) - begin);
}

TEST(VariableTracking, TheChainGivesEveryVariableTheValue) {
  const TextQuestions files;
  const auto task = files.make("variable_tracking", {"lengths=3000,5000", "samples=5"});
  for_each(*task, 30, [](const std::string& prompt, const std::vector<std::string>& answers) {
    ASSERT_THAT(answers, SizeIs(5));
    const std::string text = prompt.substr(prompt.rfind("Memorize and track"));
    const std::regex assignment("VAR ([A-Z]{5}) = (VAR )?([A-Z0-9]{5})\n");
    std::vector<std::string> variables;
    std::string value;
    for (std::sregex_iterator at(text.begin(), text.end(), assignment), end; at != end; ++at) {
      if (variables.empty()) {
        value = (*at)[3];
      } else {
        EXPECT_EQ((*at)[3], variables.back()) << "in the chain's order";
      }
      variables.push_back((*at)[1]);
    }
    EXPECT_EQ(variables, answers);
    EXPECT_THAT(text,
                HasSubstr("Find all variables that are assigned the value " + value + " in the text above."));
    EXPECT_TRUE(text.ends_with("5 variables are assigned the value " + value + ", they are: "));
    // The question ahead has another answer, which it gives.
    const std::string example = prompt.substr(0, prompt.rfind("Memorize and track"));
    EXPECT_THAT(example,
                testing::ContainsRegex("they are:  [A-Z]{3} [A-Z]{3} [A-Z]{3} [A-Z]{3} [A-Z]{3}\n\n$"));
  });
  EXPECT_THAT(reply_of(row_of(files.make("variable_tracking", {"lengths=3000"}, 2600)->training(0, 1).labels_BT, 0)),
              testing::MatchesRegex("( [A-Z]{5}){5}"));
}

TEST(CommonWords, TheTenStandMoreOftenThanTheRest) {
  const TextQuestions files;
  const auto check = [&](const std::string& length, int often, int seldom) {
    const auto task = files.make("common_words", {"words=" + files.path(), "lengths=" + length, "samples=3"});
    for_each(*task, 120, [&](const std::string& prompt, const std::vector<std::string>& answers) {
      ASSERT_THAT(answers, SizeIs(10));
      const auto count = counts(last_between(prompt, "appear most often.\n", "\nQuestion"));
      std::int64_t last = 0;
      for (const auto& [word, times] : count) {
        std::int64_t number = 0;
        if (parse_integer(word.substr(0, word.size() - 1), number)) {
          last = std::max(last, number);
        } else {
          EXPECT_EQ(times, std::ranges::find(answers, word) != answers.end() ? often : seldom) << word;
        }
      }
      EXPECT_EQ(last, 10 * often + (static_cast<std::int64_t>(count.size()) - last - 10) * seldom)
          << "numbered";
      EXPECT_THAT(prompt.substr(0, prompt.find("\nBelow")),
                  testing::ContainsRegex("list are: 1\\. [a-z]+ .* 10\\. [a-z]+$"));
    });
  };
  check("2300", 6, 1);
  check("7000", 30, 3);
  EXPECT_THAT(error_of([&] {
                files.make("common_words", {"words=" + files.path(), "lengths=20000"});
              }).what(),
              HasSubstr("the haystack is too short for 20000 tokens; found 155 words"));
}

TEST(FrequentWords, TheThreeComeAfterTheDots) {
  const TextQuestions files;
  const auto task = files.make("frequent_words", {"lengths=2000,6000", "samples=5"});
  for_each(*task, 50, [](const std::string& prompt, const std::vector<std::string>& answers) {
    ASSERT_THAT(answers, SizeIs(3));
    auto count = counts(last_between(prompt, "coded words. ", "\nQuestion"));
    std::vector<std::pair<int, std::string>> order;
    for (const auto& [word, times] : count) {
      order.emplace_back(-times, word);
      EXPECT_TRUE(word == "..." || word.size() == 6) << word;
    }
    std::ranges::sort(order);
    EXPECT_EQ(order[0].second, "...");
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(order[i + 1].second, answers[i]);
    EXPECT_LT(order[3].first, order[4].first) << "the third more often than the next";
    EXPECT_NEAR(static_cast<double>(order[0].first) / order[1].first, 4, 0.5) << "k^-2";
  });
}

constexpr const char* stories =
    "1 Mary moved to the bathroom.\n2 John went to the hallway.\n3 Where is Mary? \tbathroom\t1\n"
    "4 Mary took the milk.\n5 What is Mary carrying? \tmilk,nothing\t4\n1 Sandra sat down.\n"
    "2 Where is Sandra? \tgarden\t1\n";

TEST(BabiLong, TheFactsBeforeTheQuestionStandInTheirOrder) {
  const TextQuestions files;
  files.write("qa_test.txt", stories);
  const auto task =
      files.make("babi_long", {"facts=" + files.path("qa_test.txt"), "path=" + files.path("text.txt"),
                               "lengths=1500,4000", "samples=20"});
  std::set<std::string> asked;
  for_each(*task, 20, [&](const std::string& prompt, const std::vector<std::string>& answers) {
    const std::string question = last_between(prompt, "\nQuestion: ", "\nAnswer:");
    asked.insert(question);
    EXPECT_TRUE(prompt.ends_with("\nAnswer:"));
    const auto at = [&](const char* fact) { return prompt.find(fact); };
    if (question == "Where is Sandra?") {
      EXPECT_THAT(answers, ElementsAre("garden"));
      EXPECT_NE(at("Sandra sat down."), std::string::npos);
      EXPECT_EQ(at("Mary"), std::string::npos) << "another story's";
    } else {
      EXPECT_LT(at("Mary moved to the bathroom."), at("John went to the hallway."));
      EXPECT_EQ(at("Mary took the milk.") != std::string::npos, question == "What is Mary carrying?");
      if (question == "What is Mary carrying?") {
        EXPECT_THAT(answers, ElementsAre("milk", "nothing"));
      }
    }
  });
  EXPECT_THAT(asked, SizeIs(3));
}

TEST(BabiLong, TrainsOnOtherStoriesInAnotherPartOfTheText) {
  const TextQuestions files;
  files.write("qa_test.txt", stories);
  files.write("qa_train.txt", "1 Fred ran.\n2 Where is Fred? \tpark\t1\n");
  std::vector<std::string> settings{"facts=" + files.path("qa_test.txt"), "path=" + files.path("text.txt"),
                                    "lengths=1500", "train_share=0.5"};
  EXPECT_THAT(error_of([&] { files.make("babi_long", settings)->training(0, 1); }).what(),
              HasSubstr("training needs stories of its own; expected train_facts: FILE"));
  settings.push_back("train_facts=" + files.path("qa_train.txt"));
  const Batch batch = files.make("babi_long", settings)->training(0, 4);
  for (std::int64_t row = 0; row < 4; ++row) {
    EXPECT_EQ(reply_of(row_of(batch.labels_BT, row)), " park.");
    EXPECT_THAT(text_of(row_of(batch.tokens_BT, row)), HasSubstr("Fred ran."));
  }
}

TEST(BabiLong, WhatIsNoStoryIsNamedByItsLine) {
  const TextQuestions files;
  const auto message = [&](const std::string& content) {
    files.write("bad.txt", content);
    return std::string(
        error_of([&] {
          files.make("babi_long", {"facts=" + files.path("bad.txt"), "path=" + files.path("text.txt")});
        }).what());
  };
  EXPECT_THAT(message("1 Mary moved.\nand so on\n"), HasSubstr("bad.txt:2: this is no line of a bAbI story"));
  EXPECT_THAT(message("1 Mary moved.\n"), HasSubstr("no question stands in the file"));
}

}  // namespace
}  // namespace mdnlab
