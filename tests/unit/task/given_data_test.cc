// Tasks on data that users give: how files are read, what is asked, how answers are marked.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>

#include "../error_of.h"
#include "../temporary_folder.h"
#include "base/random.h"
#include "data/byte_tokenizer.h"
#include "making.h"

namespace mdnlab {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

using Answerer = std::function<Answer(const Item&)>;

struct Totals {
  double sum = 0, weight = 0;
  double mean() const { return sum / weight; }
};

std::string text(const std::vector<std::int64_t>& tokens) { return {tokens.begin(), tokens.end()}; }

class GivenData : public testing::Test {
 protected:
  std::unique_ptr<Task> task(const std::string& name, const std::string& content,
                             std::vector<std::string> words = {}, const std::string& file = "items.jsonl") {
    std::ofstream(folder_ / file) << content;
    words.push_back("path=" + (folder_ / file).string());
    return make_task(name, words, {.tokenizer = bytes_, .base = "."});
  }

  // Values of every metric over all items.
  static std::map<std::string, Totals> totals(const Task& task, const Answerer& answerer) {
    const auto items = task.items(Split::test);
    std::map<std::string, Totals> totals;
    for (std::int64_t i = 0; i < items->count(); ++i) {
      const Item item = items->item(i);
      for (const ItemValue& value : items->mark(i, item, answerer(item)).values) {
        totals[value.metric].sum += value.weight * value.value;
        totals[value.metric].weight += value.weight;
      }
    }
    return totals;
  }

  // ln p of every byte is −ln 256.
  static Answer uniform(const Item& item) {
    Answer answer;
    const auto fill = [&](std::size_t count) {
      answer.log_probabilities.emplace_back(count, -std::log(256.0));
      answer.highest.emplace_back(count, false);
    };
    for (const auto& continuation : item.continuations) fill(continuation.size());
    if (!item.labels.empty()) fill(item.labels.size());
    return answer;
  }

  TemporaryFolder folder_;
  std::shared_ptr<const Tokenizer> bytes_ = std::make_shared<const ByteTokenizer>();
};

// One line of each set, with the context, the choices and the right one as they must come out.
struct SetCase {
  const char* set;
  const char* line;
  const char* context;  // before the first choice
  std::vector<const char*> continuations;
  std::size_t right;
};

class ChoiceSets : public GivenData, public testing::WithParamInterface<SetCase> {};

// The continuation that is counted, and what stands before it.
std::pair<std::string, std::string> parts(const Item& item, std::size_t choice, std::size_t length) {
  const std::string whole = text(item.prompt) + text(item.continuations[choice]);
  return {whole.substr(0, whole.size() - length), whole.substr(whole.size() - length)};
}

TEST_P(ChoiceSets, AskWhatIsPublished) {
  const SetCase& expected = GetParam();
  const auto made = task("choice", std::string(expected.line) + "\n", {"set=" + std::string(expected.set)});
  const auto items = made->items(Split::test);
  ASSERT_EQ(items->count(), 1);
  const Item item = items->item(0);
  ASSERT_EQ(item.continuations.size(), expected.continuations.size());
  const std::string last = expected.continuations[0];
  EXPECT_EQ(parts(item, 0, last.size()), std::pair(std::string(expected.context), last));
  for (std::size_t c = 0; c < item.continuations.size(); ++c) {
    EXPECT_THAT(text(item.prompt) + text(item.continuations[c]),
                testing::EndsWith(expected.continuations[c]));
    Answer answer = uniform(item);
    for (auto& values : answer.log_probabilities) values.assign(values.size(), -9);
    answer.log_probabilities[c].assign(answer.log_probabilities[c].size(), -0.01);
    const Mark mark = items->mark(0, item, answer);
    EXPECT_EQ(mark.values[0].value, c == expected.right ? 1 : 0) << c;
    EXPECT_EQ(mark.values[1].value, c == expected.right ? 1 : 0) << c;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Sets, ChoiceSets,
    testing::Values(
        SetCase{"piqa",
                R"({"goal":"Boil an egg","sol1":"Use hot water.","sol2":"Use a fridge.","label":0})",
                "Question: Boil an egg\nAnswer:",
                {" Use hot water.", " Use a fridge."},
                0},
        SetCase{"hellaswag",
                R"({"query":"Tea: A man","choices":["drinks.","flies.","sinks.","sings."],"gold":3})",
                "Tea: A man",
                {" drinks.", " flies.", " sinks.", " sings."},
                3},
        SetCase{
            "arc_easy",
            R"({"question":"What is ice?","choices":{"text":["Water","Wood","Iron"],"label":["A","B","C"]},"answerKey":"A"})",
            "Question: What is ice?\nAnswer:",
            {" Water", " Wood", " Iron"},
            0},
        SetCase{
            "arc_challenge",
            R"({"question":"What is snow?","choices":{"text":["Wood","Water"],"label":["1","2"]},"answerKey":"2"})",
            "Question: What is snow?\nAnswer:",
            {" Wood", " Water"},
            1},
        SetCase{
            "winogrande",
            R"({"sentence":"Ann paid Eve because _ was owed money.","option1":"Ann","option2":"Eve","answer":"2"})",
            "Ann paid Eve because Ann",
            {" was owed money.", " was owed money."},
            1},
        SetCase{"boolq",
                R"({"question":"is ice cold","answer":true,"passage":"Ice is cold."})",
                "Ice is cold.\nQuestion: is ice cold?\nAnswer:",
                {" no", " yes"},
                1},
        SetCase{
            "openbookqa",
            R"({"question_stem":"Ice is","choices":{"text":["hot","cold"],"label":["A","B"]},"answerKey":"B"})",
            "Ice is",
            {" hot", " cold"},
            1},
        SetCase{
            "copa",
            R"({"premise":"It rained.","choice1":"The road was wet.","choice2":"He sang.","question":"effect","label":0})",
            "It rained therefore",
            {" the road was wet.", " he sang."},
            0},
        SetCase{
            "mmlu",
            R"({"question":"1+1?","subject":"number_theory","choices":["1","2"],"answer":1})",
            "The following are multiple choice questions (with answers) about number theory.\n\n1+1?\nA. 1\nB. "
            "2\nAnswer:",
            {" A", " B"},
            1},
        SetCase{"jsonl",
                R"({"context":"The sky is","choices":["blue","green"],"answer":"green"})",
                "The sky is",
                {" blue", " green"},
                1}),
    [](const auto& info) { return info.param.set; });

TEST_F(GivenData, PiqaTakesItsLabelsFromTheFileBeside) {
  std::ofstream(folder_ / "valid-labels.lst") << "1\n0\n";
  const char* line = R"({"goal":"g","sol1":"a","sol2":"b"})";
  const auto items =
      task("choice", std::string(line) + "\n" + line + "\n", {"set=piqa"}, "valid.jsonl")->items(Split::test);
  const Item item = items->item(0);
  Answer second = uniform(item);
  second.log_probabilities[1].assign(2, -0.1);
  EXPECT_EQ(items->mark(0, item, second).values[0].value, 1);
  EXPECT_EQ(items->mark(1, item, second).values[0].value, 0);
}

TEST_F(GivenData, ChoiceAtRandomScoresChanceAndAnOracleAll) {
  std::string lines;
  for (int i = 0; i < 400; ++i) {
    const std::string right = std::to_string(i * 7 % 4);
    lines += R"({"context":"Say )" + right + R"(","choices":["one","three","four","sixty"],"answer":)" +
             right + "}\n";
  }
  const auto made = task("choice", lines);
  Random random{5};
  const auto drawn = totals(*made, [&](const Item& item) {
    Answer answer = uniform(item);
    for (auto& values : answer.log_probabilities) values.back() = -100 * random.uniform();
    return answer;
  });
  EXPECT_NEAR(drawn.at("acc").mean(), 0.25, 4 * std::sqrt(0.25 * 0.75 / 400));
  EXPECT_NEAR(drawn.at("acc_norm").mean(), 0.25, 4 * std::sqrt(0.25 * 0.75 / 400));
  const auto oracle = totals(*made, [](const Item& item) {
    Answer answer = uniform(item);
    const std::size_t right = static_cast<std::size_t>(item.prompt.back() - '0');  // the context ends with it
    answer.log_probabilities[right].assign(answer.log_probabilities[right].size(), 0);
    return answer;
  });
  EXPECT_EQ(oracle.at("acc").mean(), 1);
  EXPECT_EQ(oracle.at("acc_norm").mean(), 1);
}

TEST_F(GivenData, AccNormDividesByTheCharactersOfTheChoice) {
  const auto items =
      task("choice", R"({"context":"c","choices":["éé","abcdefgh"],"answer":1})")->items(Split::test);
  const Item item = items->item(0);
  // −4 over 2 characters (not 4 bytes) against −10 over 8.
  const Mark mark =
      items->mark(0, item, {.log_probabilities = {{-4, 0, 0, 0, 0}, {-10, 0, 0, 0, 0, 0, 0, 0, 0}}});
  EXPECT_EQ(mark.values[0].value, 0);
  EXPECT_EQ(mark.values[1].value, 1);
  EXPECT_EQ(mark.prediction, "éé");
  EXPECT_THAT(mark.values[0].cell, HasSubstr(R"("chance":0.5)"));
}

TEST_F(GivenData, BadLinesAreNamedAndCountedAndHarmNoOther) {
  testing::internal::CaptureStderr();
  const auto made = task("choice",
                         "{\"context\":\"a\",\"choices\":[\"b\",\"c\"],\"answer\":0}\nno json\n\n[1]\n"
                         "{\"context\":\"a\",\"choices\":[\"b\",\"c\"],\"answer\":2}\n{\"context\":\"a\"}\n"
                         "{\"context\":\"z\",\"choices\":[\"b\",\"c\"],\"answer\":\"c\"}\n");
  const std::string told = testing::internal::GetCapturedStderr();
  const std::string file = (folder_ / "items.jsonl").string();
  EXPECT_THAT(told,
              AllOf(HasSubstr(file + ":2: this line is no JSON"),
                    HasSubstr(file + ":4: this line is no JSON object; found array"),
                    HasSubstr(file + ":5: the right answer is none of the choices; found 2, expected 0 to 1"),
                    HasSubstr("4 of 6 lines are left out")));
  const auto items = made->items(Split::test);
  ASSERT_EQ(items->count(), 2);
  EXPECT_EQ(text(items->item(1).prompt), "z");
  EXPECT_THAT(error_of([&] { task("lambada", "{}\n"); }).what(),
              HasSubstr("no line of the file is a question"));
  EXPECT_THAT(error_of([&] {
                make_task("lambada", {"path=/nowhere.jsonl"}, {.tokenizer = bytes_, .base = "."});
              }).what(),
              HasSubstr("/nowhere.jsonl"));
}

TEST_F(GivenData, LambadaAsksForTheLastWord) {
  const auto made = task("lambada", "{\"text\":\"he opened the door\"}\n{\"text\":\"an old cat\"}\n");
  const auto items = made->items(Split::test);
  const Item item = items->item(0);
  EXPECT_EQ(text(item.prompt), "he opened the");
  EXPECT_EQ(text(item.continuations.at(0)), " door");
  const auto chance = totals(*made, uniform);
  EXPECT_EQ(chance.at("accuracy").mean(), 0);
  EXPECT_NEAR(chance.at("perplexity").mean(), 4.5 * std::log(256.0), 1e-12);  // 5 and 4 bytes
  const auto oracle = totals(*made, [](const Item& asked) {
    Answer answer{.log_probabilities = {std::vector<double>(asked.continuations[0].size(), 0.0)}};
    answer.highest = {std::vector<bool>(asked.continuations[0].size(), true)};
    return answer;
  });
  EXPECT_EQ(oracle.at("accuracy").mean(), 1);
  EXPECT_EQ(oracle.at("perplexity").mean(), 0);
}

TEST_F(GivenData, ContainsWantsAnyAnswerWhateverItsCase) {
  const auto items =
      task("contains", R"({"prompt":"Capital?","answers":["Oslo","Christiania"]})")->items(Split::test);
  const Item item = items->item(0);
  EXPECT_EQ(text(item.prompt), "Capital?");
  EXPECT_EQ(item.most_tokens, 48);
  EXPECT_THAT(item.until, ElementsAre("\n"));
  const auto value = [&](const char* written) {
    return items->mark(0, item, {.text = written}).values[0].value;
  };
  EXPECT_EQ(value(" it is OSLO."), 1);
  EXPECT_EQ(value("christiania"), 1);
  EXPECT_EQ(value("Bergen"), 0);
  EXPECT_EQ(value(""), 0);
}

TEST_F(GivenData, SquadShowsTheWindowAroundTheAnswer) {
  std::string passage(1000, '.');
  passage.replace(700, 6, "Berlin");
  const std::string line =
      R"({"context":")" + passage + R"(","question":"Where?","answers":["Berlin","berlin"]})";
  const auto whole = task("contains", line, {"set=squad"})->items(Split::test);
  const std::string question = "\nQuestion: Where?\nAnswer:";
  EXPECT_EQ(text(whole->item(0).prompt), passage + question);
  const auto cut = task("contains", line, {"set=squad", "length=200", "generated=20"})->items(Split::test);
  const std::string prompt = text(cut->item(0).prompt);
  EXPECT_EQ(prompt.size() + 20, 200u);
  EXPECT_EQ(*cut->item(0).length, 200);
  EXPECT_EQ(prompt.substr(prompt.size() - question.size()), question);
  const auto place = static_cast<double>(prompt.find("Berlin"));
  EXPECT_NEAR(place, static_cast<double>(prompt.size() - question.size()) / 2, 8);
  // At the passage's end the window is as wide.
  passage = std::string(994, '.') + "Berlin";
  const auto end =
      task("contains", R"({"context":")" + passage + R"(","question":"Where?","answers":["Berlin"]})",
           {"set=squad", "length=200"})
          ->items(Split::test);
  EXPECT_EQ(end->item(0).prompt.size() + 48, 200u);
}

TEST_F(GivenData, OtherQuestionSetsAreReadAsTheyAreWritten) {
  const auto first = [&](const char* set, const char* line) {
    const auto items = task("contains", line, {"set=" + std::string(set)})->items(Split::test);
    const Item item = items->item(0);
    return std::pair(text(item.prompt), items->mark(0, item, {.text = ""}).answer);
  };
  EXPECT_EQ(first("nq_open", R"({"question":"who","answer":["me","I"]})"),
            std::pair(std::string("Question: who\nAnswer:"), std::string("me")));
  EXPECT_EQ(first("triviaqa", R"({"context":"Question: who?\nAnswer:","answer":"me","aliases":["me","I"]})"),
            std::pair(std::string("Question: who?\nAnswer:"), std::string("me")));
  EXPECT_EQ(first("drop", R"({"passage":"P.","question":"how many?","answers":[["7"],["seven"]]})"),
            std::pair(std::string("P.\nQuestion: how many?\nAnswer:"), std::string("7")));
}

TEST_F(GivenData, WikitextCountsWordsOverWindowsOfPages) {
  const std::string content = " = One = \n\n a b c d\n = = Part = = \n e\n = Two = \n f g\n";
  for (const char* length : {"length=1000", "length=7"}) {
    const auto made = task("wikitext", content, {length, "detokenized=false"}, "pages.txt");
    const auto sums = totals(*made, uniform);
    const auto bytes = static_cast<double>(content.size()), words = 18.0;
    EXPECT_NEAR(sums.at("word_perplexity").weight, words, 1e-9) << length;
    EXPECT_NEAR(sums.at("word_perplexity").mean(), bytes * std::log(256.0) / words, 1e-9) << length;
    EXPECT_NEAR(sums.at("byte_perplexity").mean(), std::log(256.0), 1e-12);
  }
  const auto items =
      task("wikitext", content, {"length=7", "detokenized=false"}, "pages.txt")->items(Split::test);
  EXPECT_EQ(text(items->item(0).prompt), "\n");  // what stands before a page
  EXPECT_EQ(text(items->item(0).continuations[0]), content.substr(0, 7));
  EXPECT_EQ(text(items->item(1).prompt), content.substr(6, 1));
  EXPECT_EQ(task("wikitext", content, {"length=1000"}, "pages.txt")->items(Split::test)->count(), 2);
}

TEST_F(GivenData, WikitextIsReadWithoutItsSpacingAndCountedWithIt) {
  const std::string content = " = One = \n About 1 @,@ 200 men ( of \" two @-@ way \" fame ) ; it 's so . \n";
  const auto made = task("wikitext", content, {}, "pages.txt");
  EXPECT_EQ(text(made->items(Split::test)->item(0).continuations[0]),
            " = One =\nAbout 1,200 men (of \"two-way\" fame); it's so.\n");
  const auto sums = totals(*made, uniform);
  EXPECT_EQ(sums.at("word_perplexity").weight, 22);
  EXPECT_NEAR(sums.at("byte_perplexity").weight, static_cast<double>(content.size()), 1e-9);
}

TEST_F(GivenData, PerplexityByPositionHasABucketForEachPartOfABlock) {
  std::string content;
  for (int i = 0; i < 53; ++i) content += static_cast<char>('a' + i % 26);
  const auto made = task("perplexity_by_position", content, {"lengths=10,20", "bucket=8"}, "text.txt");
  const auto items = made->items(Split::test);
  ASSERT_EQ(items->count(), 5 + 2);
  const Item item = items->item(6);
  EXPECT_EQ(*item.length, 20);
  EXPECT_EQ(text(item.prompt), content.substr(20, 20));
  ASSERT_EQ(item.labels.size(), 19u);
  EXPECT_EQ(item.labels[3].token, content[24]);
  Answer answer = uniform(item);
  for (std::size_t t = 0; t < 19; ++t) answer.log_probabilities[0][t] = -static_cast<double>(t);
  const Mark mark = items->mark(6, item, answer);
  ASSERT_EQ(mark.values.size(), 3u);
  EXPECT_EQ(mark.values[1].value, 11.5);  // 8 … 15
  EXPECT_EQ(mark.values[1].weight, 8);
  EXPECT_EQ(mark.values[1].cell, R"({"position_from":8,"position_to":16})");
  EXPECT_EQ(mark.values[2].weight, 3);
  EXPECT_THAT(error_of([&] { task("perplexity_by_position", content, {"lengths=54"}, "text.txt"); }).what(),
              HasSubstr("the text has 53 tokens, too few for a block of 54"));
}

}  // namespace
}  // namespace mdnlab
