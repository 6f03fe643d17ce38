// Of every task that there is: a model that answers uniformly scores what chance gives, an oracle 100.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numbers>

#include "../task/answering.h"
#include "../task/text_questions.h"
#include "base/text.h"
#include "data/fields.h"
#include "eval/marks.h"

namespace mdnlab {
namespace {

constexpr double bytes = 256;  // the vocabulary of text here

// What a score must be for whom, within `off`.
struct Bound {
  double value = 0, off = 1e-9;
};

struct Case {
  const char* task;
  std::vector<std::string> settings;             // FOLDER stands for that of the files below
  std::map<std::string, Bound> uniform, oracle;  // by metric; without one `chance` of its settings, and 1
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.task; }

const std::vector<Case>& cases() {
  static const Bound no_chance{0, 0.02};  // of writing an answer of two letters or more among random bytes
  static const std::vector<Case> list{
      {"text",
       {"length_factors=[1, 2]"},
       {{"loss", {std::log(bytes)}}, {"perplexity", {bytes, 1e-6}}, {"bits_per_byte", {8}}},
       {{"loss", {0}}, {"perplexity", {1}}, {"bits_per_byte", {0}}}},
      {"mqar", {"vocabulary=64", "pairs=4"}, {{"loss", {std::log(32)}}}, {{"loss", {0}}}},
      {"overwrite_mqar",
       {"vocabulary=64", "pairs=4", "updates=3"},
       {{"loss", {std::log(32)}}},
       {{"loss", {0}}}},
      {"retention",
       {"keys=40", "values=8", "lags=16,32", "writes=0,8", "pairs=4,8", "samples=60"},
       {{"information_bits", {0}}, {"overwrite_bits", {0}}},
       {{"information_bits", {3}}, {"overwrite_bits", {100 / std::numbers::ln2, 1e-6}}}},
      {"palindrome", {"symbols=32"}, {{"loss", {std::log(32)}}}, {{"loss", {0}}}},
      {"stack", {"elements=32", "stacks=8"}, {{"loss", {std::log(32)}}}, {{"loss", {0}}}},
      {"parity", {}, {{"loss", {std::log(2)}}}, {{"loss", {0}}}},
      {"mod_arithmetic", {}, {{"loss", {std::log(5)}}}, {{"loss", {0}}}},
      {"s5", {}, {{"loss", {std::log(120)}}}, {{"loss", {0}}}},
      {"needle", {"words=FOLDER", "lengths=900", "samples=30"}, {{"accuracy", no_chance}}, {}},
      {"variable_tracking", {"lengths=2500", "samples=10"}, {{"accuracy", no_chance}}, {}},
      {"common_words", {"words=FOLDER", "lengths=2300", "samples=10"}, {{"accuracy", no_chance}}, {}},
      {"frequent_words", {"lengths=2000", "samples=10"}, {{"accuracy", no_chance}}, {}},
      {"babi_long",
       {"facts=FOLDER/qa.txt", "path=FOLDER/text.txt", "lengths=1000", "samples=20"},
       {{"accuracy", no_chance}},
       {}},
      {"choice", {"path=FOLDER/choice.jsonl"}, {}, {}},
      {"contains", {"path=FOLDER/contains.jsonl"}, {{"accuracy", no_chance}}, {}},
      {"lambada",
       {"path=FOLDER/lambada.jsonl"},
       {{"accuracy", {0}}, {"perplexity", {std::pow(bytes, 5), 1}}},
       {{"perplexity", {1}}}},
      {"wikitext",
       {"path=FOLDER/pages.txt", "length=9", "detokenized=false"},
       // 29 bytes, 10 words, each equals sign one
       {{"word_perplexity", {std::pow(bytes, 2.9), 1e-3}}, {"byte_perplexity", {bytes, 1e-9}}},
       {{"word_perplexity", {1}}, {"byte_perplexity", {1}}}},
      {"perplexity_by_position",
       {"path=FOLDER/text.txt", "lengths=100", "bucket=40", "samples=3"},
       {{"perplexity", {bytes, 1e-9}}},
       {{"perplexity", {1}}}},
      {"influence", {"path=FOLDER/text.txt", "samples=3"}, {{"influence", {0}}}, {{"influence", {1}}}},
  };
  return list;
}

class EveryTask : public testing::TestWithParam<Case> {
 protected:
  EveryTask() {
    files_.write("qa.txt", "1 Mary moved to the garden.\n2 Where is Mary? \tgarden\t1\n");
    std::string lines;
    for (int i = 0; i < 400; ++i) {
      lines +=
          R"({"context":"c","choices":["a","bb","ccc","dddd"],"answer":)" + std::to_string(i % 4) + "}\n";
    }
    files_.write("choice.jsonl", lines);
    files_.write("contains.jsonl", "{\"prompt\":\"Capital?\",\"answers\":[\"Oslo\"]}\n");
    files_.write("lambada.jsonl", "{\"text\":\"he opened the door\"}\n{\"text\":\"it is a bird\"}\n");
    files_.write("pages.txt", " = One = \n a b c\n = Two = \n d");
    Params data = read_settings(std::vector{"path=" + files_.path("text.txt")}, "data", data_fields());
    corpus_ = std::make_shared<const Corpus>(data, ".");
  }

  std::unique_ptr<Task> task() const {
    std::vector<std::string> words = GetParam().settings;
    for (std::string& word : words) {
      if (const std::size_t at = word.find("FOLDER"); at != std::string::npos)
        word.replace(at, 6, files_.path());
    }
    return make_task(
        GetParam().task, words,
        {.corpus = corpus_, .tokenizer = make_tokenizer("byte", "."), .base = ".", .seq_len = 48, .seed = 3});
  }

  // The scores of a model that answers so.
  template <class GiveAnswer>
  std::vector<Score> scores(const Task& task, GiveAnswer answer) const {
    const auto items = task.items(Split::test);
    std::vector<MarkedItem> marks;
    for (std::int64_t i = 0; i < items->count(); ++i) {
      const Item item = items->item(i);
      marks.push_back(marked(i, item, items->mark(i, item, answer(*items, i, item))));
    }
    return scores_of(GetParam().task, "{}", marks);
  }

  static void expect(const Score& score, const Bound& bound) {
    EXPECT_NEAR(score.value, bound.value, bound.off) << score.metric << " " << score.settings_json;
  }

  TextQuestions files_;
  std::shared_ptr<const Corpus> corpus_;
};

// As many lists as there are continuations, or one of the labels.
std::vector<std::size_t> lists_of(const Item& item) {
  std::vector<std::size_t> sizes;
  for (const auto& continuation : item.continuations) sizes.push_back(continuation.size());
  if (!item.labels.empty()) sizes.push_back(item.labels.size());
  return sizes;
}

// Of the sequences that a task makes: its different labels; of text: the vocabulary.
std::int64_t possible_answers(const Task& task) {
  const auto items = task.items(Split::test);
  const bool is_text = task.vocab_size() == 256 || items->item(0).labels.empty();
  return is_text ? 256 : std::ssize(answers_of(task));
}

TEST_P(EveryTask, UniformAnswersScoreWhatChanceGives) {
  const auto made = task();
  Random random{7};
  const auto ids = static_cast<double>(possible_answers(*made));
  const auto answer = [&](const Items&, std::int64_t, const Item& item) {
    Answer given;
    const double of = item.among ? static_cast<double>(item.among->second - item.among->first) : ids;
    for (const std::size_t size : lists_of(item)) {
      // Of several continuations one is preferred, each alike.
      const bool is_choice = item.continuations.size() > 1;
      given.log_probabilities.emplace_back(
          size, is_choice ? -100 * random.uniform() / static_cast<double>(size) : -std::log(of));
      given.highest.emplace_back();
      for (std::size_t i = 0; i < size; ++i) given.highest.back().push_back(random.uniform() * of < 1);
    }
    for (std::int64_t i = 0; i < item.most_tokens; ++i) given.text += static_cast<char>(random.below(256));
    for (const std::int64_t lag : item.influence_lags) given.influence.push_back({lag, -1, -1, 0});
    return given;
  };
  for (const Score& score : scores(*made, answer)) {
    if (const auto bound = GetParam().uniform.find(score.metric); bound != GetParam().uniform.end()) {
      expect(score, bound->second);
    } else {
      const double chance = nlohmann::json::parse(score.settings_json).at("chance");
      expect(score, {chance, 4 * std::sqrt(chance * (1 - chance) / static_cast<double>(score.n))});
    }
  }
}

TEST_P(EveryTask, AnOracleScores100) {
  const auto made = task();
  const auto answer = [&](const Items& items, std::int64_t index, const Item& item) {
    const std::string wanted = items
                                   .mark(index, item,
                                         {.log_probabilities = std::vector(8, std::vector(128, -1.0)),
                                          .highest = std::vector(8, std::vector<bool>(128))})
                                   .answer;
    Answer given{.text = wanted};
    for (const std::int64_t lag : item.influence_lags) given.influence.push_back({lag, -1, -1, 1});
    for (std::size_t list = 0; list < lists_of(item).size(); ++list) {
      const std::size_t size = lists_of(item)[list];
      const bool is_wanted =
          item.continuations.size() < 2 || text_of(item.continuations[list]) == " " + wanted;
      given.log_probabilities.emplace_back(size, is_wanted ? 0.0 : -100.0);
      given.highest.emplace_back(size, is_wanted);
    }
    const bool is_overwrite = item.labels.size() == 2 && item.labels[0].position == item.labels[1].position;
    if (is_overwrite) given.log_probabilities[0][1] = -100;  // the value that was there before
    return given;
  };
  for (const Score& score : scores(*made, answer)) {
    const auto bound = GetParam().oracle.find(score.metric);
    expect(score, bound == GetParam().oracle.end() ? Bound{1} : bound->second);
  }
}

INSTANTIATE_TEST_SUITE_P(Tasks, EveryTask, testing::ValuesIn(cases()),
                         [](const auto& info) { return std::string(info.param.task); });

TEST(EveryTask, IsHere) {
  std::vector<std::string> here, there;
  for (const Case& one : cases()) here.emplace_back(one.task);
  for (const TaskKind& kind : task_kinds()) there.emplace_back(kind.name);
  EXPECT_THAT(here, testing::UnorderedElementsAreArray(there));
}

}  // namespace
}  // namespace mdnlab
