// bAbI's stories spread in a text: what is asked, and what of a model's words is right.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "../error_of.h"
#include "grown_items.h"
#include "task/babi_stories.h"
#include "task/item.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

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
  for_each(*task, 32, [&](const std::string& prompt, const std::vector<std::string>& answers) {
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

// Facts of 10 words each, then the question: a story of few facts, and one of many.
TEST(BabiLong, StoriesTooLongForALengthAreNotAskedThere) {
  const TextQuestions files;
  std::string text = "1 Mary went home.\n2 Where is Mary?\thome\t1\n";
  for (int i = 1; i <= 40; ++i)
    text += std::to_string(i) + " Fred walked on to the next house of the long road.\n";
  files.write("qa.txt", text + "41 Where is Fred?\tthere\t40\n");
  std::vector<std::string> settings{"facts=" + files.path("qa.txt"), "path=" + files.path("text.txt"),
                                    "samples=30"};
  const auto asked = [&](const std::string& lengths) {
    settings.push_back("lengths=" + lengths);
    const auto task = files.make("babi_long", settings);
    settings.pop_back();
    std::set<std::string> questions;
    for_each(*task, 32, [&](const std::string& prompt, const std::vector<std::string>&) {
      questions.insert(last_between(prompt, "\nQuestion: ", "\nAnswer:"));
    });
    return questions;
  };
  testing::internal::CaptureStderr();
  EXPECT_THAT(asked("600"), ElementsAre("Where is Mary?"));
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("1 of 2 stories are too long for 600 tokens and not asked there"));
  EXPECT_THAT(asked("3000"), SizeIs(2));
  EXPECT_THAT(error_of([&] { asked("60"); }).what(),
              HasSubstr("no story fits in 60 tokens; expected at least 80"));
}

TEST(BabiLong, NoItemWantsMoreOfTheHaystackThanThereIs) {
  const TextQuestions files;
  files.write("qa.txt", stories);
  std::string text;
  for (int i = 0; i < 100; ++i) text += "ten bytes ";  // 999 tokens
  files.write("short.txt", text);
  const auto make = [&](const std::string& lengths) {
    return files.make("babi_long", {"facts=" + files.path("qa.txt"), "path=" + files.path("short.txt"),
                                    "lengths=" + lengths, "samples=50"});
  };
  for_each(*make("999"), 32, [](const std::string&, const std::vector<std::string>&) {});
  EXPECT_THAT(error_of([&] { make("500,1000"); }).what(),
              HasSubstr("the haystack is too short for 1,000 tokens; it has 999"));
}

TEST(BabiStories, AreReadAsTheFilesHaveThem) {
  const auto stories = read_stories(
      "1 The garden is west of the hall.\n2 How do you go there?\ts,w\t1\n1 Mary got the milk.\n"
      "2 What has Mary? |apple,milk|1\n3 How many? \tnone\t1\n",
      "qa.txt");
  ASSERT_THAT(stories, SizeIs(3));
  EXPECT_THAT(stories[0].answers, ElementsAre("s,w")) << "a path is one answer";
  EXPECT_THAT(stories[1].answers, ElementsAre("apple", "milk"));
  EXPECT_EQ(stories[1].question, "What has Mary?");
  EXPECT_THAT(stories[2].facts, ElementsAre("Mary got the milk."));
  EXPECT_THAT(answers_of(stories), ElementsAre("apple", "milk", "none", "s,w"));
}

TEST(BabiStories, AnAnswerNamesWhatIsWantedAndNothingElse) {
  EXPECT_TRUE(names_only({"one"}, {"none", "two"}, " One."));
  EXPECT_FALSE(names_only({"one"}, {"none", "two"}, " none"));
  EXPECT_FALSE(names_only({"no"}, {"yes"}, "I know."));
  EXPECT_FALSE(names_only({"no"}, {"yes"}, "yes or no"));
  EXPECT_TRUE(names_only({"no"}, {"yes"}, "no\nQuestion: … yes"));
  EXPECT_TRUE(names_only({"garden"}, {"hall"}, "in the garden. Then the hall"));
  EXPECT_TRUE(names_only({"apple", "milk"}, {"football"}, " milk, apple."));
  EXPECT_FALSE(names_only({"apple", "milk"}, {"football"}, " milk."));
  EXPECT_TRUE(names_only({"s,w"}, {"w,s", "s,s"}, " s, w"));
  EXPECT_FALSE(names_only({"s,w"}, {"w,s", "s,s"}, "s,w,s"));
  EXPECT_FALSE(names_only({"s,w"}, {"w,s"}, "s"));
}

}  // namespace
}  // namespace mdnlab
