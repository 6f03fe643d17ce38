// Language modelling: labels are the next tokens, none across documents, and scores are means over them.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numbers>
#include <set>

#include "../error_of.h"
#include "../temporary_folder.h"
#include "data/fields.h"
#include "eval/marks.h"
#include "making.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// A corpus whose tokens are letters, so that a label can be told from its place.
class TextTask : public testing::Test {
 protected:
  std::shared_ptr<const Corpus> corpus(const std::string& file, const std::string& content,
                                       std::vector<std::string> words = {}) {
    std::ofstream(folder_ / file, std::ios::binary) << content;
    words.push_back("path=" + (folder_ / file).string());
    return std::make_shared<const Corpus>(read_settings(words, "data", data_fields()), ".");
  }

  // 1000 letters a … z, over and over: 800 train, 100 valid, 100 test.
  std::shared_ptr<const Corpus> alphabet() {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += static_cast<char>('a' + i % 26);
    return corpus("alphabet.txt", text, {"split=[0.8, 0.1, 0.1]"});
  }

  TemporaryFolder folder_;
};

TEST_F(TextTask, ALabelIsTheNextToken) {
  const auto task = make_task("text", {"length_factors=1"}, {.corpus = alphabet(), .seq_len = 16, .seed = 1});
  EXPECT_EQ(task->vocab_size(), 256);
  const Batch batch = task->training(0, 30);
  EXPECT_FALSE(batch.documents.exist());
  for (std::int64_t row = 0; row < 30; ++row) {
    const auto tokens = row_of(batch.tokens_BT, row), labels = row_of(batch.labels_BT, row);
    for (std::size_t t = 0; t < 16; ++t) {
      EXPECT_EQ(labels[t], 'a' + (tokens[t] - 'a' + 1) % 26);
      if (t > 0) {
        EXPECT_EQ(tokens[t], labels[t - 1]);
      }
    }
  }
}

TEST_F(TextTask, TrainingIsAFunctionOfTheSeedAndTheIndex) {
  const auto letters = alphabet();
  const auto make = [&](std::uint64_t seed) {
    return make_task("text", {"length_factors=1"}, {.corpus = letters, .seq_len = 16, .seed = seed});
  };
  const Batch whole = make(1)->training(0, 120);  // two epochs and a half
  const auto again = make(1);
  for (const std::int64_t first : {100, 3, 60}) {  // not in order
    EXPECT_TRUE(at::equal(again->training(first, 20).tokens_BT, whole.tokens_BT.narrow(0, first, 20)));
  }
  EXPECT_FALSE(at::equal(make(2)->training(0, 120).tokens_BT, whole.tokens_BT));
}

TEST_F(TextTask, NoLabelCrossesADocumentsStartAndStatesResetThere) {
  std::string lines;
  for (int i = 0; i < 60; ++i)
    lines += R"({"text": ")" + std::string(3 + i % 7, static_cast<char>('a' + i % 26)) + "\"}\n";
  const auto documents = corpus("lines.jsonl", lines, {"split=[0.8, 0.1, 0.1]"});
  const auto task = make_task("text", {"length_factors=1"}, {.corpus = documents, .seq_len = 20});
  const Batch batch = task->training(0, 8);
  ASSERT_TRUE(batch.documents.exist());
  std::int64_t without = 0, starts = 0;
  for (std::int64_t row = 0; row < 8; ++row) {
    const auto tokens = row_of(batch.tokens_BT, row), labels = row_of(batch.labels_BT, row);
    const auto position = row_of(batch.documents.position_BT, row);
    for (std::size_t t = 0; t < 20; ++t) {
      const bool begins =
          t > 0 && tokens[t] != tokens[t - 1];  // every document is one letter, unlike its neighbour's
      EXPECT_EQ(position[t], t == 0 || begins ? 0 : position[t - 1] + 1);
      if (begins) {
        EXPECT_EQ(labels[t - 1], no_label);
        ++starts;
      }
      if (labels[t] == no_label) {
        ++without;
      } else {
        EXPECT_EQ(labels[t], tokens[t]);
      }
    }
  }
  EXPECT_GT(starts, 8);
  EXPECT_GE(without, starts);  // a label past the window's end may be across as well
  EXPECT_LE(without, starts + 8);
  EXPECT_EQ(batch.documents.cu_seqlens.numel(), starts + 8 + 1);

  const auto joined = corpus("lines.jsonl", lines, {"split=[0.8, 0.1, 0.1]", "documents=concatenate"});
  const Batch flowing =
      make_task("text", {"length_factors=1"}, {.corpus = joined, .seq_len = 20})->training(0, 8);
  EXPECT_FALSE(flowing.documents.exist());
  EXPECT_FALSE((flowing.labels_BT == no_label).any().item<bool>());
}

// Scores of a test whose items are answered with the position in the window for −ln p: every mean is known.
std::vector<Score> scores_by_position(const Task& task) {
  const auto items = task.items(Split::test);
  std::vector<MarkedItem> marks;
  for (std::int64_t i = 0; i < items->count(); ++i) {
    const Item item = items->item(i);
    Answer answer{.log_probabilities = {{}}};
    for (const Label& label : item.labels)
      answer.log_probabilities[0].push_back(-static_cast<double>(label.position));
    marks.push_back(marked(i, item, items->mark(i, item, answer)));
  }
  return scores_of("text", "{}", marks);
}

const Score& find(const std::vector<Score>& scores, const std::string& metric, std::int64_t length,
                  std::int64_t from = -1) {
  for (const Score& score : scores) {
    const auto settings = nlohmann::json::parse(score.settings_json);
    if (score.metric == metric && score.length == length &&
        settings.value("position_from", std::int64_t{-1}) == from)
      return score;
  }
  throw std::runtime_error("no score " + metric);
}

TEST_F(TextTask, ScoresAreMeansAtEachLengthAndByPosition) {
  const auto task = make_task("text", {"length_factors=[1, 4]"}, {.corpus = alphabet(), .seq_len = 8});
  const auto scores = scores_by_position(*task);
  // 100 test tokens: 12 windows of 8, 3 windows of 32.
  EXPECT_EQ(task->items(Split::test)->count(), 15);
  EXPECT_EQ(find(scores, "loss", 8).n, 96);
  EXPECT_DOUBLE_EQ(find(scores, "loss", 8).value, 3.5);
  EXPECT_DOUBLE_EQ(find(scores, "bits_per_byte", 8).value, 3.5 / std::numbers::ln2);
  EXPECT_DOUBLE_EQ(find(scores, "perplexity", 8).value, std::exp(3.5));
  EXPECT_EQ(find(scores, "loss", 32).n, 96);
  EXPECT_DOUBLE_EQ(find(scores, "loss", 32).value, 15.5);
  for (std::int64_t bucket = 0; bucket < 4; ++bucket) {
    const Score& score = find(scores, "perplexity", 32, 8 * bucket);
    EXPECT_EQ(score.n, 24);
    EXPECT_DOUBLE_EQ(score.value, std::exp(8.0 * static_cast<double>(bucket) + 3.5));
  }
  EXPECT_THAT(scores, SizeIs(3 + 1 + 3 + 4));
}

TEST_F(TextTask, AnItemOfTheTestIsWhatStandsOfOneDocumentInAWindow) {
  // Documents of 3 to 9 tokens, one letter each: windows of 8 hold parts of several.
  std::string lines;
  for (int i = 0; i < 60; ++i)
    lines += R"({"text": ")" + std::string(3 + i % 7, static_cast<char>('a' + i % 26)) + "\"}\n";
  const auto documents = corpus("lines.jsonl", lines, {"split=[0.6, 0.2, 0.2]"});
  const auto task = make_task("text", {"length_factors=[1, 2]"}, {.corpus = documents, .seq_len = 8});
  const auto items = task->items(Split::test);
  std::int64_t tokens = 0, labels = 0;
  for (std::int64_t i = 0; i < items->count(); ++i) {
    const Item item = items->item(i);
    if (item.length != 8) continue;
    ASSERT_EQ(item.labels.size(), item.prompt.size());
    for (std::size_t t = 0; t < item.prompt.size(); ++t) {
      EXPECT_EQ(item.prompt[t], item.prompt[0]) << "of one document";
      EXPECT_EQ(item.labels[t].token, item.prompt[0]) << "none across";
      EXPECT_EQ(item.labels[t].position, static_cast<std::int64_t>(t));
    }
    ++tokens;
    labels += std::ssize(item.labels);
  }
  EXPECT_EQ(find(scores_by_position(*task), "loss", 8).n, labels);
  EXPECT_GT(tokens, documents->token_count(Split::test) / 8);
}

TEST_F(TextTask, ValidationWhileTrainingIsOneLengthAndThreeNumbers) {
  const auto task = make_task("text", {"length_factors=[1, 4]"}, {.corpus = alphabet(), .seq_len = 8});
  EXPECT_EQ(task->items(Split::valid), nullptr);
  EXPECT_EQ(task->evaluation(Split::test), nullptr);
  for (const std::int64_t most_tokens : {1, 20, 4096}) {  // however the evaluation is cut
    const auto evaluation = task->evaluation(Split::valid);
    while (const std::optional<Batch> batch = evaluation->next(most_tokens)) {
      const at::Tensor nll = at::arange(8, at::kDouble).expand(batch->labels_BT.sizes()).flatten();
      evaluation->add(*batch, {nll, at::full(nll.sizes(), true, at::kBool)});
    }
    const auto scores = evaluation->scores();
    std::vector<std::string> metrics;
    for (const Score& score : scores) metrics.push_back(score.metric);
    EXPECT_THAT(metrics, ElementsAre("loss", "bits_per_byte", "perplexity"));
    EXPECT_EQ(scores[0].n, 96);
    EXPECT_DOUBLE_EQ(scores[0].value, 3.5);
    EXPECT_DOUBLE_EQ(scores[1].value, 3.5 / std::numbers::ln2);
    EXPECT_DOUBLE_EQ(scores[2].value, std::exp(3.5));
  }
}

TEST_F(TextTask, BitsPerByteDivideByTheBytesOfTheTextNotTheTokens) {
  const char* source = std::getenv("MDNLAB_SOURCE");
  ASSERT_NE(source, nullptr);
  std::string text;
  for (int i = 0; i < 400; ++i) text += "The residual is what the memory got wrong. ";
  const auto words =
      corpus("words.txt", text, {std::string("tokenizer=gpt2:") + source + "/experiments/data/gpt2"});
  const auto task = make_task("text", {"length_factors=1"}, {.corpus = words, .seq_len = 9});
  const auto scores = scores_by_position(*task);
  const Score &loss = find(scores, "loss", 9), &bits = find(scores, "bits_per_byte", 9);
  // Windows of 9 tokens over a sentence of 9 tokens (8 words and a stop): each label once a sentence of 43
  // bytes.
  EXPECT_NEAR(bits.value, loss.value / std::numbers::ln2 * 9 / 43, 1e-9);
}

TEST_F(TextTask, MostTokensBoundsAnEvaluation) {
  const auto task =
      make_task("text", {"length_factors=[1, 4]", "most_tokens=40"}, {.corpus = alphabet(), .seq_len = 8});
  const auto scores = scores_by_position(*task);
  EXPECT_EQ(find(scores, "loss", 8).n, 40);
  EXPECT_EQ(find(scores, "loss", 32).n, 32);
}

TEST_F(TextTask, DigestsTellTextsApart) {
  const auto digest = [&](const std::string& text) {
    return make_task("text", {"length_factors=1"}, {.corpus = corpus("t.txt", text), .seq_len = 2})
        ->data_digest();
  };
  const std::string text(400, 'x');
  EXPECT_EQ(digest(text), digest(text));
  EXPECT_NE(digest(text), digest(text + "x"));
}

TEST_F(TextTask, ATextTooShortForItsLongestWindowIsRefused) {
  const auto letters = alphabet();
  const Error error =
      error_of([&] { make_task("text", {"length_factors=[1, 4]"}, {.corpus = letters, .seq_len = 25}); });
  EXPECT_EQ(error.code(), Code::usage);
  EXPECT_THAT(
      error.what(),
      HasSubstr("the test split is shorter than one window; found 100 tokens, expected at least 101"));
  EXPECT_THAT(
      error_of([&] { make_task("text", {"length_factors=[]"}, {.corpus = letters, .seq_len = 8}); }).what(),
      HasSubstr("length_factors is empty"));
}

TEST(Tasks, AreFoundByName) {
  EXPECT_STREQ(find_task("text", {}).name, "text");
  const Error error = error_of([] { find_task("txet", {"a.yaml", 2, 3}); });
  EXPECT_EQ(error.code(), Code::usage);
  EXPECT_STREQ(error.what(), "a.yaml:2:3: unknown task; found 'txet'; did you mean 'text'?");
}

TEST(Tasks, HaveNamesAndSummariesOfTheirOwn) {
  std::set<std::string> names;
  for (const TaskKind& kind : task_kinds()) {
    EXPECT_TRUE(names.insert(kind.name).second);
    EXPECT_GT(kind.version, 0);
    EXPECT_STRNE(kind.summary, "");
    EXPECT_FALSE(kind.fields.empty());
  }
  EXPECT_TRUE(names.contains("text") && names.contains("mqar"));
}

}  // namespace
}  // namespace mdnlab
