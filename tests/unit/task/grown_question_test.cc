// Questions in a grown text: as long as the length allows and no longer, answered by an oracle and by nobody
// else.
#include "task/grown_question.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "../error_of.h"
#include "asking.h"
#include "base/text.h"
#include "task/written.h"
#include "text_questions.h"

namespace mdnlab {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Le;
using testing::SizeIs;

class GrownQuestion : public testing::Test {
 protected:
  std::unique_ptr<Task> needle(const std::string& variant, std::vector<std::string> settings = {},
                               std::int64_t seq_len = 1024) const {
    settings.insert(settings.end(),
                    {"variant=" + variant, "path=" + files_.path("text.txt"), "words=" + files_.path()});
    return files_.make("needle", settings, seq_len);
  }

  TextQuestions files_;
};

const std::vector<std::string> variants{"s-niah-1",  "s-niah-2",  "s-niah-3", "mk-niah-1",
                                        "mk-niah-2", "mk-niah-3", "mv-niah",  "mq-niah"};

TEST_F(GrownQuestion, PromptsFillTheirLengthAndNeverExceedIt) {
  for (const std::string& variant : variants) {
    const auto task = needle(variant, {"lengths=1024,3000", "samples=6", "generated=40"});
    const auto items = task->items(Split::test);
    ASSERT_EQ(items->count(), 12);
    std::set<std::string> prompts;
    for (std::int64_t i = 0; i < 12; ++i) {
      const Item item = items->item(i);
      EXPECT_EQ(item.length, i < 6 ? 1024 : 3000);
      EXPECT_EQ(item.most_tokens, 40);
      const auto room = static_cast<std::size_t>(*item.length - 40);
      EXPECT_LE(item.prompt.size(), room);
      EXPECT_GT(item.prompt.size(), room - 130) << variant << ": one line more would not fit";
      prompts.insert(text_of(item.prompt));
      EXPECT_EQ(items->item(i).prompt, item.prompt);
    }
    EXPECT_THAT(prompts, SizeIs(12));
  }
}

TEST_F(GrownQuestion, AnOracleScores100AndSilenceNothing) {
  for (const std::string& variant : variants) {
    const auto task = needle(variant, {"lengths=1500", "samples=5"});
    const auto items = task->items(Split::test);
    for (std::int64_t i = 0; i < 5; ++i) {
      const Item item = items->item(i);
      const std::string answers = items->mark(i, item, {}).answer;
      const auto value = [&](const std::string& text) {
        const Mark mark = items->mark(i, item, {.text = text});
        EXPECT_THAT(mark.values, SizeIs(1));
        EXPECT_EQ(mark.values[0].metric, "accuracy");
        EXPECT_EQ(mark.values[0].cell, R"({"variant":")" + variant + "\"}");
        return mark.values[0].value;
      };
      EXPECT_EQ(value(" " + answers + "."), 1);
      EXPECT_EQ(value(""), 0);
      EXPECT_EQ(value("1234567"), 0);
      // Each answer stands in the prompt, in a needle of a key that the question names.
      const std::string prompt = text_of(item.prompt);
      for (const std::string& answer : split(answers, ',')) {
        const std::regex said("One of the special magic (numbers|uuids) for (\\S+) is: " + trim(answer) +
                              "\\.");
        std::smatch found;
        ASSERT_TRUE(std::regex_search(prompt, found, said)) << variant << prompt;
        const std::string question = prompt.substr(prompt.rfind('\n'));
        EXPECT_THAT(question, HasSubstr(found[2].str()));
      }
      EXPECT_THAT(split(answers, ','), SizeIs(variant == "mv-niah" || variant == "mq-niah" ? 4 : 1));
    }
  }
}

TEST_F(GrownQuestion, NeedlesReadAsTheyAreDefined) {
  const auto prompt = [&](const std::string& variant) {
    return text_of(needle(variant, {"lengths=1500", "samples=1"})->items(Split::test)->item(0).prompt);
  };
  const std::string single = prompt("s-niah-1");
  EXPECT_THAT(single,
              testing::StartsWith("Some special magic number is hidden within the following text. Make sure "
                                  "to memorize it. I will quiz you about the number afterwards.\nThe grass"));
  EXPECT_THAT(single,
              testing::ContainsRegex("\nWhat is the special magic number for [a-z]+-[a-z]+ mentioned in the "
                                     "provided text\\? The special magic number for [a-z]+-[a-z]+ mentioned "
                                     "in the provided text is$"));
  EXPECT_THAT(single, testing::ContainsRegex(
                          "\nOne of the special magic numbers for [a-z]+-[a-z]+ is: [0-9]{7}\\.\n"));
  const std::string many = prompt("mq-niah");
  EXPECT_THAT(many, testing::StartsWith("Some special magic numbers are hidden"));
  EXPECT_THAT(many, testing::ContainsRegex(
                        "What are all the special magic numbers for [a-z-]+, [a-z-]+, [a-z-]+, and "
                        "[a-z-]+ mentioned in .* text are$"));
  EXPECT_THAT(many, HasSubstr("This is sentence 0, not long. This is sentence 1, not long. "));
  EXPECT_THAT(
      prompt("s-niah-3"),
      testing::ContainsRegex("is: [0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\\. "));
  const std::string needles = prompt("mk-niah-2");
  EXPECT_EQ(std::ranges::count(needles, '\n') - 1, static_cast<std::int64_t>(split(needles, ':').size()) - 1)
      << "every line is a needle";
}

TEST_F(GrownQuestion, TheNeedleLiesAtItsDepth) {
  for (const std::string variant : {"s-niah-1", "s-niah-2", "mk-niah-1", "mk-niah-2"}) {
    const auto task = needle(variant, {"lengths=8000", "samples=2", "depths=0,0.25,0.5,1", "generated=8"});
    const auto items = task->items(Split::test);
    ASSERT_EQ(items->count(), 8);
    for (std::int64_t i = 0; i < 8; ++i) {
      const Item item = items->item(i);
      const std::string prompt = text_of(item.prompt), answer = items->mark(i, item, {}).answer;
      EXPECT_EQ(item.depth, (std::vector{0.0, 0.25, 0.5, 1.0})[static_cast<std::size_t>(i / 2)]);
      const auto begin = static_cast<double>(prompt.find('\n')),
                 end = static_cast<double>(prompt.rfind('\n'));
      EXPECT_NEAR((static_cast<double>(prompt.find(answer)) - begin) / (end - begin), *item.depth, 0.04)
          << variant;
    }
  }
  EXPECT_THAT(error_of([&] { needle("mv-niah", {"depths=0.5"}); }).what(),
              HasSubstr("mv-niah wants several needles, which have no one depth"));
}

TEST_F(GrownQuestion, DepthsAreDrawnOfFortyStepsInProse) {
  const auto items = needle("s-niah-2", {"lengths=4000", "samples=200", "generated=8"})->items(Split::test);
  std::set<int> steps;
  double sum = 0;
  for (std::int64_t i = 0; i < 200; ++i) {
    const Item item = items->item(i);
    const std::string prompt = text_of(item.prompt);
    const auto begin = static_cast<double>(prompt.find('\n')), end = static_cast<double>(prompt.rfind('\n'));
    const double depth =
        (static_cast<double>(prompt.find(items->mark(i, item, {}).answer)) - begin) / (end - begin);
    steps.insert(static_cast<int>(depth * 39));
    sum += depth;
    EXPECT_FALSE(item.depth.has_value());
  }
  EXPECT_GT(steps.size(), 33u);
  EXPECT_NEAR(sum / 200, 0.5, 4 * 0.29 / std::sqrt(200));
}

TEST_F(GrownQuestion, TrainingGivesTheAnswerAfterThePromptAndLabelsItAlone) {
  for (const std::string& variant : variants) {
    const auto task = needle(variant, {"lengths=1500", "train_lengths=700,900", "train_share=0.5"});
    const Batch batch = task->training(0, 12);
    ASSERT_EQ(batch.tokens_BT.size(1), 900);
    std::set<bool> is_short;
    for (std::int64_t row = 0; row < 12; ++row) {
      const auto tokens = row_of(batch.tokens_BT, row), labels = row_of(batch.labels_BT, row);
      std::string answer;
      std::size_t first = 0;
      for (std::size_t t = 0; t < 900; ++t) {
        if (labels[t] == no_label) continue;
        if (answer.empty()) first = t + 1;
        answer += static_cast<char>(labels[t]);
        EXPECT_EQ(t + 1, first + answer.size() - 1);
        EXPECT_EQ(tokens[t + 1], labels[t]) << "already shifted";
      }
      const std::string prompt =
          text_of({tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(first)});
      EXPECT_TRUE(prompt.ends_with(" is") || prompt.ends_with(" are"));
      EXPECT_EQ(answer.front(), ' ');
      EXPECT_EQ(answer.back(), '.');
      for (const std::string& one : split(answer.substr(1, answer.size() - 2), ','))
        EXPECT_THAT(prompt, HasSubstr("is: " + trim(one) + "."));
      is_short.insert(first + answer.size() <= 700);
    }
    EXPECT_THAT(is_short, SizeIs(2)) << "both lengths";
  }
}

TEST_F(GrownQuestion, DrillsAskForWhatWasSaid) {
  for (const std::string variant : {"s-niah-1", "s-niah-2", "mk-niah-3"}) {
    const auto task =
        needle(variant, {"lengths=1500", "train_lengths=900", "train_share=0.5", "train_drills=0.5"});
    const Batch batch = task->training(0, 60);
    int drills = 0, full = 0, replies = 0;
    for (std::int64_t row = 0; row < 60; ++row) {
      const auto labels = row_of(batch.labels_BT, row);
      const std::string text = text_of(row_of(batch.tokens_BT, row));
      if (text.starts_with("Some special")) continue;
      ++drills;
      full += text.starts_with("One of the");
      for (std::size_t t = 0; t < labels.size(); ++t) {
        if (labels[t] == no_label) continue;
        const std::size_t end = text.find('\n', t), begin = text.rfind('\n', t) + 1;
        EXPECT_EQ(reply_of({labels.begin() + static_cast<std::ptrdiff_t>(t),
                            labels.begin() + static_cast<std::ptrdiff_t>(end)}),
                  text.substr(t + 1, end - t))
            << "already shifted, to the line's end";
        // The line that says it: with its "is:", or the same where the drill is bare.
        std::string said = text.substr(begin, end - begin);
        if (const std::size_t is = said.find(" is "); is != std::string::npos) {
          const std::size_t key = said.find("for ");
          said = said.substr(key, said.find(' ', key + 4) - key) + " is:" + said.substr(is + 3);
        }
        EXPECT_LT(text.find(said), begin) << said;
        ++replies;
        t = end;
      }
    }
    EXPECT_GT(drills, 15);
    EXPECT_LT(drills, 45);
    EXPECT_GT(full, 0);
    EXPECT_LT(full, drills);
    EXPECT_GT(replies, 2 * drills);
    const Batch valid = *task->evaluation(Split::valid)->next(40 * 900);
    for (std::int64_t row = 0; row < valid.tokens_BT.size(0); ++row)
      EXPECT_TRUE(text_of(row_of(valid.tokens_BT, row)).starts_with("Some special")) << "none in validation";
  }
  EXPECT_THAT(
      error_of([&] {
        needle("s-niah-1", {"train_lengths=200", "train_drills=1"});
      }).what(),
      HasSubstr("a drill does not fit in 200 tokens; found 1.0, expected training lengths of at least 300"));
}

TEST_F(GrownQuestion, TrainingHidesInAnotherPartOfTheText) {
  const auto task = needle("s-niah-2", {"lengths=9000", "samples=3", "train_share=0.5"});
  const auto numbers = [](const std::string& text) {
    std::vector<int> list;
    const std::regex sentence("sentence ([0-9]+),");
    for (std::sregex_iterator at(text.begin(), text.end(), sentence), end; at != end; ++at)
      list.push_back(std::stoi((*at)[1]));
    return list;
  };
  EXPECT_THAT(numbers(text_of(task->items(Split::test)->item(0).prompt)), Each(Le(1000)));
  const Batch batch = task->training(0, 40);
  std::set<int> firsts;
  for (std::int64_t row = 0; row < 40; ++row) {
    const auto found = numbers(text_of(row_of(batch.tokens_BT, row)));
    EXPECT_THAT(found, Each(testing::Ge(1000)));
    firsts.insert(found.at(0));
  }
  EXPECT_GT(firsts.size(), 30u) << "from anywhere in it";
  EXPECT_THAT(error_of([&] { needle("s-niah-2", {"lengths=9000"})->training(0, 1); }).what(),
              HasSubstr("the haystack is too short for 1024 tokens"));
}

TEST_F(GrownQuestion, ATextTooShortIsSaidNotRepeated) {
  const Error error = error_of([&] { needle("s-niah-2", {"lengths=4000,90000"}); });
  EXPECT_EQ(error.code(), Code::usage);
  EXPECT_THAT(error.what(),
              HasSubstr("--set lengths=4000,90000: the haystack is too short for 90000 tokens"));
  EXPECT_THAT(error.what(), HasSubstr("expected a longer text, since none is repeated"));
  EXPECT_NO_THROW(needle("s-niah-1", {"lengths=90000"})) << "noise has no end";
}

TEST_F(GrownQuestion, WhatIsMissingIsNamed) {
  EXPECT_THAT(error_of([&] { needle("s-niah-1", {"lengths=300"}); }).what(),
              HasSubstr("needle of 300 tokens has no room for its prompt"));
  const auto made = [&](const std::vector<std::string>& settings) {
    return std::string(error_of([&] { files_.make("needle", settings); }).what());
  };
  EXPECT_THAT(made({}), HasSubstr("lists of words are needed"));
  EXPECT_THAT(made({"words=" + files_.path(), "variant=s-niah-2"}),
              HasSubstr("a haystack of prose needs a text"));
  EXPECT_THAT(made({"words=/nowhere"}), HasSubstr("'/nowhere/adjectivelist.txt' is not there"));
  EXPECT_THAT(made({"variant=s-niah-4"}), HasSubstr("s-niah-4"));
}

TEST(Contained, IsTheShareOfTheAnswersWhateverTheirCase) {
  EXPECT_EQ(contained({"Abc", "12"}, "x aBC y"), 0.5);
  EXPECT_EQ(contained({"abc", "12"}, "12ABC"), 1);
  EXPECT_EQ(cleaned(" a\tb\x01"
                    "c \n"),
            "a\nb\nc");
}

}  // namespace
}  // namespace mdnlab
