// The other questions in grown texts: variables, common words, frequent words. Each prompt holds what its
// answers say, and nothing but them answers it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <sstream>

#include "../error_of.h"
#include "base/text.h"
#include "grown_items.h"
#include "task/item.h"

namespace mdnlab {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

std::map<std::string, int> counts(const std::string& text) {
  std::map<std::string, int> counts;
  std::istringstream words(text);
  for (std::string word; words >> word;) ++counts[word];
  return counts;
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

}  // namespace
}  // namespace mdnlab
