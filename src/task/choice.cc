// Multiple choice by likelihood: of each choice the sum of ln p of its tokens after the context. `acc`: the
// choice with the largest sum is right; `acc_norm`: with the largest sum over characters of the choice.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/text.h"
#include "task/choice_sets.h"
#include "task/continuation.h"
#include "task/given_lines.h"
#include "task/tasks.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {
    {.name = "set",
     .type = Type::text,
     .preset = "jsonl",
     .doc =
         "how the file is written; jsonl: {\"context\", \"choices\", \"answer\"}, the answer a choice or its place from 0",
     .choices = choice_sets},
    path_field,
    first_samples_field};

std::vector<Continued> ways_of(const ChoiceQuestion& question, const Tokenizer& tokenizer) {
  std::vector<Continued> ways;
  for (std::size_t c = 0; c < question.continuations.size(); ++c)
    ways.push_back(continued(tokenizer, question.context(c), question.continuations[c]));
  return ways;
}

class ChoiceItems final : public GivenItems<ChoiceQuestion> {
 public:
  ChoiceItems(std::shared_ptr<const std::vector<ChoiceQuestion>> questions, std::int64_t count,
              std::shared_ptr<const Tokenizer> tokenizer)
      : GivenItems(std::move(questions), count), tokenizer_(std::move(tokenizer)) {
    double chance = 0;
    for (std::int64_t i = 0; i < count; ++i) chance += 1.0 / static_cast<double>(at(i).choices.size());
    cell_ = fmt::format(R"({{"chance":{}}})", chance / static_cast<double>(count));
  }

  // Where contexts differ by choice, what they share is the prompt, and the rest of each stands before its
  // continuation, not counted.
  Item item(std::int64_t index) const override {
    const std::vector<Continued> ways = ways_of(at(index), *tokenizer_);
    std::ptrdiff_t shared = std::ssize(ways[0].context);
    for (const Continued& way : ways) {
      const auto same = std::ranges::mismatch(ways[0].context, way.context).in1 - ways[0].context.begin();
      shared = std::min(shared, same);
    }
    Item item{.prompt = {ways[0].context.begin(), ways[0].context.begin() + shared}};
    if (item.prompt.empty()) item.prompt.push_back(token_before_text(*tokenizer_));
    for (const Continued& way : ways) {
      item.continuations.emplace_back(way.context.begin() + shared, way.context.end());
      item.continuations.back().insert(item.continuations.back().end(), way.continuation.begin(),
                                       way.continuation.end());
    }
    return item;
  }

  Mark mark(std::int64_t index, const Item&, const Answer& answer) const override {
    const ChoiceQuestion& question = at(index);
    std::vector<double> sums, shares;
    for (std::size_t c = 0; c < question.choices.size(); ++c) {
      const std::vector<double>& ln_p = answer.log_probabilities[c];
      sums.push_back(std::accumulate(ln_p.end() - counted(question, c, std::ssize(ln_p)), ln_p.end(), 0.0));
      const std::size_t characters = std::max<std::size_t>(1, code_points(question.choices[c]));
      shares.push_back(sums.back() / static_cast<double>(characters));
    }
    const auto largest = [](const std::vector<double>& values) {
      return static_cast<std::size_t>(std::ranges::max_element(values) - values.begin());
    };
    const auto told = [&](const char* metric, const std::vector<double>& values) {
      return ItemValue{.metric = metric,
                       .value = largest(values) == question.right ? 1.0 : 0.0,
                       .cell = cell_,
                       .prediction = question.choices[largest(values)]};
    };
    return {.answer = question.choices[question.right],
            .prediction = question.choices[largest(sums)],
            .values = {told("acc", sums), told("acc_norm", shares)},
            .log_probabilities = sums};
  }

 private:
  // Of `tokens` after the prompt, those of the choice's own continuation.
  std::ptrdiff_t counted(const ChoiceQuestion& question, std::size_t choice, std::ptrdiff_t tokens) const {
    if (question.contexts.size() == 1) return tokens;
    return std::ssize(
        continued(*tokenizer_, question.context(choice), question.continuations[choice]).continuation);
  }

  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string cell_;
};

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  const std::filesystem::path file = given_file(options, context);
  const auto questions =
      std::make_shared<const std::vector<ChoiceQuestion>>(read_choice_set(options.text("set"), file));
  const std::int64_t count = samples_of(options, questions->size());
  return asking_task(file, context, [=, tokenizer = context.tokenizer] {
    return std::make_unique<const ChoiceItems>(questions, count, tokenizer);
  });
}

}  // namespace

const TaskKind choice_task{
    "choice", 1,      "multiple choice by likelihood: piqa, hellaswag, arc, …, or a file of yours",
    false,    fields, make,
    false};

}  // namespace mdnlab
