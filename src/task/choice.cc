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

// Where contexts differ by choice, what they share is the prompt, and the rest of each stands before its
// continuation, not counted.
struct Encoded {
  Item item;
  std::vector<std::size_t> counted;  // tokens at each continuation's end
};

Encoded encode(const ChoiceQuestion& question, const Tokenizer& tokenizer) {
  std::vector<Continued> ways;
  for (std::size_t c = 0; c < question.continuations.size(); ++c)
    ways.push_back(continued(tokenizer, question.context(c), question.continuations[c]));
  std::size_t shared = ways[0].context.size();
  for (const Continued& way : ways) {
    const auto same = std::ranges::mismatch(ways[0].context, way.context).in1 - ways[0].context.begin();
    shared = std::min(shared, static_cast<std::size_t>(same));
  }
  Encoded encoded;
  std::vector<std::int64_t>& prompt = encoded.item.prompt;
  prompt.assign(ways[0].context.begin(), ways[0].context.begin() + static_cast<std::ptrdiff_t>(shared));
  if (prompt.empty()) prompt.push_back(token_before_text(tokenizer));
  for (Continued& way : ways) {
    std::vector<std::int64_t> tokens(way.context.begin() + static_cast<std::ptrdiff_t>(shared),
                                     way.context.end());
    tokens.insert(tokens.end(), way.continuation.begin(), way.continuation.end());
    encoded.item.continuations.push_back(std::move(tokens));
    encoded.counted.push_back(way.continuation.size());
  }
  return encoded;
}

class ChoiceItems final : public Items {
 public:
  ChoiceItems(std::shared_ptr<const std::vector<ChoiceQuestion>> questions, std::int64_t count,
              std::shared_ptr<const Tokenizer> tokenizer)
      : questions_(std::move(questions)), count_(count), tokenizer_(std::move(tokenizer)) {
    double chance = 0;
    for (std::int64_t i = 0; i < count; ++i) chance += 1.0 / static_cast<double>(at(i).choices.size());
    cell_ = fmt::format(R"({{"chance":{}}})", chance / static_cast<double>(count));
  }

  std::int64_t count() const override { return count_; }
  Item item(std::int64_t index) const override { return encode(at(index), *tokenizer_).item; }

  Mark mark(std::int64_t index, const Item&, const Answer& answer) const override {
    const ChoiceQuestion& question = at(index);
    const Encoded encoded = encode(question, *tokenizer_);
    std::vector<double> sums, shares;
    for (std::size_t c = 0; c < question.choices.size(); ++c) {
      const std::vector<double>& ln_p = answer.log_probabilities[c];
      sums.push_back(
          std::accumulate(ln_p.end() - static_cast<std::ptrdiff_t>(encoded.counted[c]), ln_p.end(), 0.0));
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
  const ChoiceQuestion& at(std::int64_t index) const {
    return (*questions_)[static_cast<std::size_t>(index)];
  }

  std::shared_ptr<const std::vector<ChoiceQuestion>> questions_;
  std::int64_t count_;
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
