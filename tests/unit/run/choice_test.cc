// Multiple choice by hand: 20 questions in the form of each published set, made of words and of what trips
// tokenizers. What `evaluate_and_store` keeps of each choice is the sum that one forward pass over context
// and continuation gives, and its scores follow from those sums.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/random.h"
#include "base/text.h"
#include "data/gpt2_tokenizer.h"
#include "experiment.h"
#include "run/evaluation.h"

namespace mdnlab {
namespace {

using nlohmann::json;

// A question as lm-eval asks it, and the line of the file that it was made from.
struct ByHand {
  json line;
  std::vector<std::string> contexts, continuations, choices;  // of each choice
  std::size_t right = 0;
};

class Writer {
 public:
  explicit Writer(std::uint64_t seed) : random_{seed, 0x63686f696365} {
    for (const char* name : {"adjectivelist.txt", "nounlist.txt", "verblist.txt"}) {
      for (const std::string& word : split(read_file(std::filesystem::path(std::getenv("MDNLAB_SOURCE")) /
                                                     "experiments/data/words" / name),
                                           '\n'))
        if (!word.empty()) words_.push_back(word);
    }
  }

  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_.below(bound)); }

  std::string phrase(std::size_t most) {
    static const std::vector<std::string> odd{"don't", "1,984", "naïve",  "“so”", "x²",   "U.S.",
                                              "--",    "  ",    "日本語", "I'll", "e.g.", "🙂"};
    std::string text;
    for (std::size_t i = 0, count = 1 + below(most); i < count; ++i) {
      if (i > 0) text += ' ';
      text += below(6) == 0 ? odd[below(odd.size())] : words_[below(words_.size())];
    }
    text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
    text = trim(text);
    return text.empty() ? "So" : text;
  }

  std::vector<std::string> phrases(std::size_t count) {
    std::vector<std::string> list;
    for (std::size_t i = 0; i < count; ++i) list.push_back(phrase(8));
    return list;
  }

 private:
  Random random_;
  std::vector<std::string> words_;
};

ByHand one_context(json line, const std::string& context, std::vector<std::string> choices,
                   std::size_t right) {
  ByHand made{std::move(line), {}, {}, std::move(choices), right};
  for (const std::string& choice : made.choices) {
    made.contexts.push_back(context);
    made.continuations.push_back(" " + choice);
  }
  return made;
}

ByHand lettered(Writer& writer, const char* key, const std::string& before, const std::string& after) {
  const std::vector<std::string> choices = writer.phrases(3 + writer.below(3));
  const std::size_t right = writer.below(choices.size());
  const std::string question = writer.phrase(20);
  std::vector<std::string> labels;
  for (std::size_t i = 0; i < choices.size(); ++i) labels.emplace_back(1, static_cast<char>('A' + i));
  return one_context(
      {{key, question}, {"choices", {{"text", choices}, {"label", labels}}}, {"answerKey", labels[right]}},
      before + question + after, choices, right);
}

ByHand made(const std::string& set, Writer& writer) {
  if (set == "piqa") {
    const std::string goal = writer.phrase(12);
    const std::vector<std::string> ways = writer.phrases(2);
    const std::size_t right = writer.below(2);
    return one_context({{"goal", goal}, {"sol1", ways[0]}, {"sol2", ways[1]}, {"label", right}},
                       "Question: " + goal + "\nAnswer:", ways, right);
  }
  if (set == "hellaswag") {  // some queries end in spaces
    const std::string query = writer.phrase(40) + std::string(writer.below(3), ' ');
    const std::vector<std::string> endings = writer.phrases(4);
    const std::size_t right = writer.below(4);
    return one_context({{"query", query}, {"choices", endings}, {"gold", right}}, query, endings, right);
  }
  if (set == "arc_easy" || set == "arc_challenge")
    return lettered(writer, "question", "Question: ", "\nAnswer:");
  if (set == "openbookqa") return lettered(writer, "question_stem", "", "");
  if (set == "winogrande") {
    const std::string before = writer.phrase(10) + " ", after = writer.phrase(10) + ".";
    const std::vector<std::string> options = writer.phrases(2);
    const std::size_t right = writer.below(2);
    return {{{"sentence", before + "_ " + after},
             {"option1", options[0]},
             {"option2", options[1]},
             {"answer", std::to_string(right + 1)}},
            {before + options[0], before + options[1]},
            {" " + after, " " + after},
            options,
            right};
  }
  if (set == "boolq") {
    const std::string passage = writer.phrase(80), question = writer.phrase(10);
    const bool answer = writer.below(2) == 1;
    return one_context({{"passage", passage}, {"question", question}, {"answer", answer}},
                       passage + "\nQuestion: " + question + "?\nAnswer:", {"no", "yes"}, answer ? 1 : 0);
  }
  if (set == "copa") {
    const std::string premise = writer.phrase(8);
    const bool is_cause = writer.below(2) == 1;
    std::vector<std::string> choices{"The " + writer.phrase(5) + ".", "The " + writer.phrase(5) + "."};
    const std::size_t right = writer.below(2);
    json line{{"premise", premise + "."},
              {"choice1", choices[0]},
              {"choice2", choices[1]},
              {"question", is_cause ? "cause" : "effect"},
              {"label", right}};
    for (std::string& choice : choices) choice[0] = 't';
    return one_context(std::move(line), premise + (is_cause ? " because" : " therefore"), choices, right);
  }
  // mmlu
  const std::string question = writer.phrase(30);
  const std::vector<std::string> texts = writer.phrases(4);
  const std::size_t right = writer.below(4);
  return one_context(
      {{"subject", "high_school_physics"},
       {"question", question + "\n"},
       {"choices", texts},
       {"answer", right}},
      "The following are multiple choice questions (with answers) about high school physics.\n\n" + question +
          "\nA. " + texts[0] + "\nB. " + texts[1] + "\nC. " + texts[2] + "\nD. " + texts[3] + "\nAnswer:",
      {"A", "B", "C", "D"}, right);
}

// Tokens as lm-eval gives them: context, continuation.
std::pair<std::vector<std::int32_t>, std::vector<std::int32_t>> split_by_hand(const Tokenizer& tokenizer,
                                                                              std::string context,
                                                                              std::string continuation) {
  while (context.ends_with(' ')) {
    context.pop_back();
    continuation.insert(0, 1, ' ');
  }
  const std::vector<std::int32_t> before = tokenizer.encode(context),
                                  whole = tokenizer.encode(context + continuation);
  return {before, {whole.begin() + std::ssize(before), whole.end()}};
}

// Σ ln p of the continuation: one sequence, one pass, softmax in float64.
double sum_by_hand(const LanguageModel& model, const Tokenizer& tokenizer, const std::string& context,
                   const std::string& continuation) {
  const at::NoGradGuard no_grad;
  const auto [before, after] = split_by_hand(tokenizer, context, continuation);
  std::vector<std::int64_t> tokens(before.begin(), before.end());
  tokens.insert(tokens.end(), after.begin(), after.end());
  const at::Tensor hidden = model.hidden(at::tensor(tokens).unsqueeze(0))[0];
  const auto first = std::ssize(before), count = std::ssize(after);
  const at::Tensor ln_p =
      at::log_softmax(model.logits(hidden.narrow(0, first - 1, count)).to(at::kDouble), -1);
  double sum = 0;
  for (std::int64_t t = 0; t < count; ++t)
    sum += ln_p[t][tokens[static_cast<std::size_t>(first + t)]].item<double>();
  return sum;
}

class ChoiceByHand : public testing::TestWithParam<std::string> {
 protected:
  static LanguageModel model(std::int64_t vocab_size) {
    return {read_model(parse_yaml("rule: mdn\nmodel: {hidden_size: 32, num_hidden_layers: 2, num_heads: 2,"
                                  " ratio: '1:1'}",
                                  "t.yaml"),
                       plugins()),
            plugins(), vocab_size, at::kFloat, 1};
  }
};

TEST_P(ChoiceByHand, LogProbabilitiesAgreeToTheFourthPlace) {
  const auto tokenizer = std::make_shared<const Gpt2Tokenizer>(
      std::filesystem::path(std::getenv("MDNLAB_SOURCE")) / "experiments/data/gpt2");
  const LanguageModel scored = model(tokenizer->vocab_size());
  constexpr std::size_t count = 20;
  std::string lines;
  std::vector<ByHand> questions;
  Writer writer{static_cast<std::uint64_t>(sha256(GetParam())[0])};
  for (std::size_t i = 0; i < count; ++i) {
    questions.push_back(made(GetParam(), writer));
    lines += questions.back().line.dump() + "\n";
  }
  const Experiments experiments;
  experiments.put("items.jsonl", lines);
  const TaskKind& kind = find_task("choice", {});
  TaskContext context;
  context.tokenizer = tokenizer;
  const TaskChoice choice{
      &kind, read_settings(std::vector{"set=" + GetParam(), "path=" + (experiments / "items.jsonl").string()},
                           "choice", kind.fields)};
  Store store = Store::open(experiments / "a.db");
  ASSERT_TRUE(evaluate_and_store(store, {.digest = "d"}, scored, "f32", choice,
                                 *kind.make(choice.options, context),
                                 {[] { return false; }, [](auto, auto) {}}));

  std::vector<std::vector<double>> sums;
  for (const ByHand& question : questions) {
    std::vector<double>& of_one = sums.emplace_back();
    for (std::size_t c = 0; c < question.choices.size(); ++c)
      of_one.push_back(sum_by_hand(scored, *tokenizer, question.contexts[c], question.continuations[c]));
  }
  for (const std::string metric : {"acc", "acc_norm"}) {
    Statement row = store.sql().query(
        "select item, i.value, answer, prediction, log_probabilities_json from evaluation_item i join evaluation e"
        " on e.id = evaluation_id where metric = ? order by item",
        metric);
    double right = 0;
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_TRUE(row.step());
      ASSERT_EQ(row.integer(0), static_cast<std::int64_t>(i));
      const ByHand& question = questions[i];
      const auto stored = json::parse(row.text(4)).get<std::vector<double>>();
      ASSERT_EQ(stored.size(), question.choices.size());
      std::size_t best = 0;
      double highest = -INFINITY;
      for (std::size_t c = 0; c < stored.size(); ++c) {
        const double sum = sums[i][c];
        EXPECT_NEAR(stored[c], sum, 1e-4) << question.line << c;
        const double value =
            metric == "acc" ? sum : sum / static_cast<double>(code_points(question.choices[c]));
        if (value > highest) best = c, highest = value;
      }
      EXPECT_EQ(row.text(2), question.choices[question.right]);
      EXPECT_EQ(row.text(3), question.choices[best]);
      EXPECT_EQ(row.real(1), best == question.right ? 1 : 0);
      right += row.real(1);
    }
    Statement score = store.sql().query("select value, n, stderr from evaluation where metric = ?", metric);
    ASSERT_TRUE(score.step());
    const double mean = right / count;
    EXPECT_NEAR(score.real(0), mean, 1e-12);
    EXPECT_EQ(score.integer(1), static_cast<std::int64_t>(count));
    EXPECT_NEAR(score.real(2), std::sqrt(mean * (1 - mean) / (count - 1)), 1e-12);
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, ChoiceByHand,
                         testing::Values("piqa", "hellaswag", "arc_easy", "arc_challenge", "winogrande",
                                         "boolq", "openbookqa", "copa", "mmlu"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace mdnlab
