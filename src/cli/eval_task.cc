#include "cli/eval_task.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/token_input.h"
#include "data/fields.h"
#include "run/planner.h"

namespace mdnlab {

namespace {

// Words of their own for settings that tasks share.
constexpr const char* shared_settings[] = {"lengths", "depths", "samples", "seed", "path"};

// Of a model that does not say how its text was made tokens: tasks of ids need none, the others hear why.
class NoTokenizer final : public Tokenizer {
 public:
  explicit NoTokenizer(Error cause) : cause_(std::move(cause)) { describe({{}, std::nullopt, "none"}); }
  std::vector<std::int32_t> encode(std::string_view) const override { throw cause_; }

 private:
  std::string decode_valid(std::span<const std::int32_t>) const override { throw cause_; }
  Error cause_;
};

std::shared_ptr<const Tokenizer> tokenizer_of(const Arguments& arguments, const StoredModel& model) {
  try {
    return read_tokenizer(arguments, model);
  } catch (const Error& error) {
    if (arguments.has("tokenizer") || find_path(model.config, "data.tokenizer")) throw;
    return std::make_shared<const NoTokenizer>(error);
  }
}

// The text of the model's run, or of --data.
std::shared_ptr<const Corpus> open_corpus(const Arguments& arguments, const StoredModel& model) {
  Node data{.kind = Node::Kind::map};
  if (const Node* recorded = model.config.find("data"); recorded && recorded->kind == Node::Kind::map)
    data = *recorded;
  const auto set = [&](const char* key, const char* word) {
    if (!arguments.has(word)) return;
    set_path(data, key,
             {.kind = Node::Kind::scalar,
              .scalar = arguments.text(word),
              .is_quoted = true,
              .place = {"--" + std::string(word)}});
  };
  set("path", "data");
  set("tokenizer", "tokenizer");
  if (!data.find("path"))
    throw Error(Code::usage,
                {.what = "the task reads a text, and the model's run names none", .expected = "--data FILE"});
  return std::make_shared<const Corpus>(read_params(data, "data", data_fields()), model.folder);
}

bool has_field(const TaskKind& kind, std::string_view name) {
  return std::ranges::find(kind.fields, name, &Field::name) != kind.fields.end();
}

// Tasks of sequences have as many of each size, of the seed that a run would give them.
std::string setting_of(const TaskKind& kind, const std::string& word) {
  return word == "samples" && !has_field(kind, word) && has_field(kind, "test_examples") ? "test_examples"
                                                                                         : word;
}

bool is_of_the_context(const TaskKind& kind, std::string_view word) {
  return word == "seed" && !has_field(kind, word) && has_field(kind, "test_examples");
}

// What is wrong with a word of its own is said of that word.
Error as_given(const Error& error, const Arguments& arguments, const TaskKind& kind) {
  ErrorText text = error.text();
  for (const char* word : shared_settings) {
    if (arguments.has(word) &&
        text.place.file == "--set " + setting_of(kind, word) + "=" + arguments.text(word))
      text.place.file = fmt::format("--{} {}", word, arguments.text(word));
  }
  return Error(error.code(), std::move(text));
}

AskedTask make_task(const Arguments& arguments, const TaskKind& kind, TaskContext context) try {
  std::vector<std::string> words = arguments.texts("set");
  for (const char* word : shared_settings) {
    if (!arguments.has(word)) continue;
    if (is_of_the_context(kind, word)) {
      context.seed = static_cast<std::uint64_t>(arguments.integer(word, 0));
    } else {
      words.push_back(setting_of(kind, word) + "=" + arguments.text(word));
    }
  }
  TaskChoice choice{&kind, read_settings(words, kind.name, kind.fields)};
  std::unique_ptr<const Task> task = kind.make(choice.options, context);
  return {std::move(choice), std::move(task)};
} catch (const Error& error) {
  throw as_given(error, arguments, kind);
}

}  // namespace

void add_task_words(Arguments& arguments) {
  arguments.option("task T[,T...]", "what is asked");
  arguments.option("lengths N[,N...]", "tokens of context, of tasks that have lengths");
  arguments.option("depths X[,X...]", "where the wanted stands, 0 (oldest) to 1");
  arguments.option("samples N", "items of each length and depth");
  arguments.option("seed N", "of the items");
  arguments.option("path FILE", "the data of tasks on given data");
  arguments.list("set KEY=VALUE", "any other setting of the tasks (experiments/README.md)");
  arguments.option("data FILE", "the text of tasks that read one; else the run's");
}

std::vector<AskedTask> read_tasks(const Arguments& arguments, const ModelWords& given) {
  const StoredModel& model = given.stored;
  if (!arguments.has("task"))
    throw Error(Code::usage, {.what = "which task? --task is missing", .expected = "e.g. --task needle"});
  const Node* seq_len = find_path(model.config, "train.seq_len");
  std::int64_t trained = 0;
  if (!seq_len || !parse_integer(seq_len->scalar, trained)) trained = 2048;
  TaskContext context{.tokenizer = tokenizer_of(arguments, model), .base = ".", .seq_len = trained};
  if (model.config.find("task")) {
    context.trained = [&](std::int64_t length, std::uint64_t seed) {
      return TaskMaker(model.folder).make_trained(read_config(model.config, given.plugins), length, seed);
    };
  }
  std::vector<AskedTask> tasks;
  for (const std::string& name : split(arguments.text("task"), ',')) {
    const TaskKind& kind = find_task(name, {.file = "--task"});
    if (kind.needs_corpus && !context.corpus) context.corpus = open_corpus(arguments, model);
    tasks.push_back(make_task(arguments, kind, context));
    if (const std::int64_t ids = tasks.back().task->vocab_size(); ids > model.vocab_size) {
      throw Error(Code::usage,
                  {.what = fmt::format("the task '{}' has tokens that the model does not have", name),
                   .found = "a vocabulary of " + grouped(ids),
                   .expected = "at most " + grouped(model.vocab_size)});
    }
  }
  return tasks;
}

}  // namespace mdnlab
