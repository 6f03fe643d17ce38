#include "cli/eval_task.h"

#include <fmt/format.h>

#include "base/text.h"
#include "cli/token_input.h"
#include "data/fields.h"

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

std::vector<std::string> settings_of(const Arguments& arguments) {
  std::vector<std::string> words = arguments.texts("set");
  for (const char* name : shared_settings) {
    if (arguments.has(name)) words.push_back(std::string(name) + "=" + arguments.text(name));
  }
  return words;
}

}  // namespace

void add_task_words(Arguments& arguments) {
  arguments.option("task T[,T…]", "what is asked");
  arguments.option("lengths N[,N…]", "tokens of context, of tasks that have lengths");
  arguments.option("depths X[,X…]", "where the wanted stands, 0 (oldest) to 1");
  arguments.option("samples N", "items of each length and depth");
  arguments.option("seed N", "of the items");
  arguments.option("path FILE", "the data of tasks on given data");
  arguments.list("set KEY=VALUE", "any other setting of the tasks (experiments/README.md)");
  arguments.option("data FILE", "the text of tasks that read one; else the run's");
}

std::vector<AskedTask> read_tasks(const Arguments& arguments, const StoredModel& model) {
  if (!arguments.has("task"))
    throw Error(Code::usage, {.what = "which task? --task is missing", .expected = "e.g. --task needle"});
  const Node* seq_len = find_path(model.config, "train.seq_len");
  std::int64_t trained = 0;
  if (!seq_len || !parse_integer(seq_len->scalar, trained)) trained = 2048;
  TaskContext context{.tokenizer = tokenizer_of(arguments, model), .base = ".", .seq_len = trained};
  std::vector<AskedTask> tasks;
  for (const std::string& name : split(arguments.text("task"), ',')) {
    const TaskKind& kind = find_task(name, {.file = "--task"});
    TaskChoice choice{&kind, read_settings(settings_of(arguments), kind.name, kind.fields)};
    if (kind.needs_corpus && !context.corpus) context.corpus = open_corpus(arguments, model);
    std::unique_ptr<const Task> task = kind.make(choice.options, context);
    if (task->vocab_size() > model.vocab_size) {
      throw Error(Code::usage,
                  {.what = fmt::format("the task '{}' has tokens that the model does not have", name),
                   .found = "a vocabulary of " + grouped(task->vocab_size()),
                   .expected = "at most " + grouped(model.vocab_size)});
    }
    tasks.push_back({std::move(choice), std::move(task)});
  }
  return tasks;
}

}  // namespace mdnlab
