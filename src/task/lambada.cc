// LAMBADA (OpenAI's variant): the last word of a passage. `accuracy`: it is what the model would write;
// `perplexity`: exp of the mean −ln p of the word.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "task/continuation.h"
#include "task/given_lines.h"
#include "task/tasks.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {path_field, first_samples_field};

struct Passage {
  std::string before, word;
};

Passage passage_of(const nlohmann::json& line) {
  const std::string text = text_of(line, "text");
  const std::size_t space = text.find_last_of(' ');
  if (space == std::string::npos || space + 1 == text.size())
    throw Error(Code::usage, {.what = "'text' has no last word after a space"});
  return {text.substr(0, space), text.substr(space + 1)};
}

class LambadaItems final : public GivenItems<Passage> {
 public:
  LambadaItems(std::shared_ptr<const std::vector<Passage>> passages, std::int64_t count,
               std::shared_ptr<const Tokenizer> tokenizer)
      : GivenItems(std::move(passages), count), tokenizer_(std::move(tokenizer)) {}

  Item item(std::int64_t index) const override {
    const Passage& passage = at(index);
    Continued tokens = continued(*tokenizer_, passage.before, " " + passage.word);
    return {.prompt = std::move(tokens.context), .continuations = {std::move(tokens.continuation)}};
  }

  Mark mark(std::int64_t index, const Item&, const Answer& answer) const override {
    const std::vector<double>& ln_p = answer.log_probabilities[0];
    const bool is_right = std::ranges::all_of(answer.highest[0], std::identity());
    const double sum = std::accumulate(ln_p.begin(), ln_p.end(), 0.0);
    const std::string& word = at(index).word;
    return {word,
            is_right ? word : "",
            {{.metric = "accuracy", .value = is_right ? 1.0 : 0.0},
             {.metric = "perplexity", .value = -sum, .mean = Mean::exponential}},
            {sum}};
  }

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
};

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  const std::filesystem::path file = given_file(options, context);
  const auto passages = std::make_shared<std::vector<Passage>>();
  read_given_lines(file, [&](const nlohmann::json& line) { passages->push_back(passage_of(line)); });
  const std::int64_t count = samples_of(options, passages->size());
  return asking_task(file, context, [=, tokenizer = context.tokenizer] {
    return std::make_unique<const LambadaItems>(passages, count, tokenizer);
  });
}

}  // namespace

const TaskKind lambada_task{
    "lambada", 1, "the last word of a passage: accuracy and perplexity", false, fields, make, false};

}  // namespace mdnlab
