// Questions whose answer the model writes, greedily until a line ends: right when what it wrote contains one
// of the answers, whatever the case. Of sets with a passage, the prompt holds as much of the passage as
// `length` leaves beside the question and what is written, centred on the first answer.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "task/continuation.h"
#include "task/given_lines.h"
#include "task/tasks.h"
#include "task/written.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {
    {.name = "set",
     .type = Type::text,
     .preset = "jsonl",
     .doc = "how the file is written; jsonl: {\"prompt\", \"answers\"}",
     .choices = "squad|drop|nq_open|triviaqa|jsonl"},
    path_field,
    {.name = "length",
     .type = Type::integer,
     .preset = nullptr,
     .doc = "tokens of prompt and answer at most, for sets with a passage; the whole passage when unset",
     .least = 1},
    {.name = "generated",
     .type = Type::integer,
     .preset = "48",
     .doc = "tokens that the model may write",
     .least = 1},
    first_samples_field};

struct Asked {
  std::string passage;  // may be cut
  std::string question;
  std::vector<std::string> answers;
};

std::string about(const std::string& question) { return "Question: " + question + "\nAnswer:"; }

// {"answers": ["a", …]} or [["a"], …]
std::vector<std::string> answers_of(const nlohmann::json& line, const char* key) {
  const auto found = line.find(key);
  if (found == line.end() || !found->is_array() || found->empty() || !found->front().is_array())
    return texts_of(line, key);
  std::vector<std::string> texts;
  for (const nlohmann::json& one : *found) texts.push_back(one.at(0).get<std::string>());
  return texts;
}

Asked asked_of(const std::string& set, const nlohmann::json& line) {
  const auto passage = [&](const char* key) {
    return Asked{text_of(line, key), "\n" + about(text_of(line, "question")), answers_of(line, "answers")};
  };
  if (set == "squad") return passage("context");
  if (set == "drop") return passage("passage");
  if (set == "nq_open") return {"", about(text_of(line, "question")), texts_of(line, "answer")};
  if (set == "triviaqa") return {"", text_of(line, "context"), texts_of(line, "aliases")};
  return {"", text_of(line, "prompt"), texts_of(line, "answers")};
}

class ContainsItems final : public GivenItems<Asked> {
 public:
  ContainsItems(const std::shared_ptr<const std::vector<Asked>>& questions, const Params& options,
                std::shared_ptr<const Tokenizer> tokenizer)
      : GivenItems(questions, samples_of(options, questions->size())),
        generated_(options.integer("generated")),
        tokenizer_(std::move(tokenizer)) {
    if (options.is_set("length")) length_ = options.integer("length");
  }

  const Tokenizer* tokenizer() const override { return tokenizer_.get(); }

  Item item(std::int64_t index) const override {
    const Asked& asked = at(index);
    Item item{.prompt = length_ && !asked.passage.empty()
                            ? windowed(asked)
                            : tokens_of(*tokenizer_, asked.passage + asked.question),
              .most_tokens = generated_,
              .until = {"\n"},
              .length = length_};
    if (item.prompt.empty()) item.prompt.push_back(token_before_text(*tokenizer_));
    return item;
  }

  Mark mark(std::int64_t index, const Item&, const Answer& answer) const override {
    const std::vector<std::string>& answers = at(index).answers;
    const bool is_right = contained(answers, answer.text) > 0;
    return {answers[0], trim(answer.text), {{.metric = "accuracy", .value = is_right ? 1.0 : 0.0}}};
  }

 private:
  std::vector<std::int64_t> windowed(const Asked& asked) const {
    std::vector<std::int64_t> passage = tokens_of(*tokenizer_, asked.passage);
    const std::vector<std::int64_t> question = tokens_of(*tokenizer_, asked.question);
    const std::int64_t room = std::max<std::int64_t>(0, *length_ - generated_ - std::ssize(question));
    if (std::ssize(passage) > room) {
      const std::size_t found = lowered(asked.passage).find(lowered(asked.answers[0]));
      const std::size_t before = found == std::string::npos ? 0 : found;
      const std::int64_t centre = std::ssize(tokens_of(*tokenizer_, asked.passage.substr(0, before)));
      const std::int64_t first = std::clamp<std::int64_t>(centre - room / 2, 0, std::ssize(passage) - room);
      passage = {passage.begin() + first, passage.begin() + first + room};
    }
    passage.insert(passage.end(), question.begin(), question.end());
    return passage;
  }

  std::int64_t generated_;
  std::optional<std::int64_t> length_;
  std::shared_ptr<const Tokenizer> tokenizer_;
};

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  const std::filesystem::path file = given_file(options, context);
  const auto questions = std::make_shared<std::vector<Asked>>();
  read_given_lines(file, [&](const nlohmann::json& line) {
    Asked asked = asked_of(options.text("set"), line);
    std::erase_if(asked.answers, [](const std::string& answer) { return trim(answer).empty(); });
    if (asked.answers.empty()) throw Error(Code::usage, {.what = "every answer is empty"});
    questions->push_back(std::move(asked));
  });
  return asking_task(file, context, [=, tokenizer = context.tokenizer] {
    return std::make_unique<const ContainsItems>(questions, options, tokenizer);
  });
}

}  // namespace

const TaskKind contains_task{
    "contains", 1,      "questions that the model answers in words: squad, …, or a file of yours",
    false,      fields, make,
    false};

}  // namespace mdnlab
