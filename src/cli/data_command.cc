#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "config/yaml.h"
#include "data/corpus_info.h"
#include "data/fields.h"
#include "data/pack.h"
#include "task/task.h"

namespace mdnlab {

namespace {

void add_text_words(Arguments& arguments) {
  arguments.option("tokenizer NAME", "byte, gpt2:FOLDER or sentencepiece:FILE", "byte");
  arguments.option("text-field KEY", "the key of the text in each line of a .jsonl file", "text");
}

// `place` is what the user typed `path` after.
Params data_params(const Arguments& arguments, const std::string& path, const std::string& place) {
  Node map;
  map.kind = Node::Kind::map;
  const auto set = [&](const char* key, const std::string& value, const std::string& file) {
    Node node{.kind = Node::Kind::scalar, .scalar = value, .is_quoted = true, .place = {file}};
    map.entries.push_back({key, node.place, node});
  };
  set("path", path, place);
  set("tokenizer", arguments.text("tokenizer"), "--tokenizer");
  set("text_field", arguments.text("text-field"), "--text-field");
  return read_params(map, "data", data_fields());
}

int pack(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab data pack PATH -o FILE.bin [options]",
       .about = "Tokenises a text once, into a file that training maps into memory.",
       .examples = "  mdnlab data pack books/ -o books.bin --tokenizer gpt2:experiments/data/gpt2\n"});
  arguments.positional("PATH", "a .txt or .jsonl file, or a folder of them");
  arguments.option("output,o FILE", "the packed file");
  add_text_words(arguments);
  if (!arguments.parse(words)) return 0;
  if (!arguments.has("output")) throw Error(Code::usage, {.what = "where to? -o FILE.bin is missing"});
  const PackedCounts counts =
      pack_corpus(data_params(arguments, arguments.text("PATH"), "PATH"), ".", arguments.text("output"));
  print(fmt::format("{}: {} documents, {} tokens\n", arguments.text("output"), grouped(counts.documents),
                    grouped(counts.tokens)));
  return 0;
}

int info(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab data info PATH [options]",
       .about =
           "Counts a text: bytes, tokens, documents, splits, and the unigram entropy that a model must beat.",
       .examples = "  mdnlab data info experiments/data/tinyshakespeare.txt\n"
                   "  mdnlab data info books.bin --tokenizer gpt2:experiments/data/gpt2 --json\n"});
  arguments.positional("PATH", "a .txt, .jsonl or packed .bin file, or a folder");
  add_text_words(arguments);
  arguments.flag("json", "print JSON");
  if (!arguments.parse(words)) return 0;
  const CorpusInfo info = corpus_info(Corpus(data_params(arguments, arguments.text("PATH"), "PATH"), "."));
  nlohmann::ordered_json json{{"path", arguments.text("PATH")},
                              {"text_bytes", info.text_bytes},
                              {"tokens", info.tokens},
                              {"documents", info.documents},
                              {"train_tokens", info.split_tokens[0]},
                              {"valid_tokens", info.split_tokens[1]},
                              {"test_tokens", info.split_tokens[2]},
                              {"vocab_size", info.vocab_size},
                              {"used_vocab", info.used_vocab},
                              {"unigram_bits_per_byte", info.unigram_bits_per_byte},
                              {"tokenizer", info.tokenizer},
                              {"digest", info.digest}};
  if (arguments.has("json")) {
    print(json.dump(2) + "\n");
    return 0;
  }
  std::string text;
  for (const auto& [key, value] : json.items()) {
    text += fmt::format("{:<22} {}\n", key,
                        value.is_string()         ? value.get<std::string>()
                        : value.is_number_float() ? fixed(value.get<double>(), 4)
                                                  : grouped(value.get<std::int64_t>()));
  }
  print(text);
  return 0;
}

using Json = nlohmann::ordered_json;

// Sequences to train on: tokens, and the label of each position that has one.
Json training_items(const Task& task, std::int64_t count) {
  const Batch batch = task.training(0, count);
  Json items = Json::array();
  const std::int64_t length = batch.tokens_BT.size(1);
  for (std::int64_t row = 0; row < batch.tokens_BT.size(0); ++row) {
    Json tokens = Json::array(), labels = Json::array();
    for (std::int64_t t = 0; t < length; ++t) {
      const std::int64_t at = row * length + t, label = batch.labels_BT.data_ptr<std::int64_t>()[at];
      tokens.push_back(batch.tokens_BT.data_ptr<std::int64_t>()[at]);
      if (label != no_label) labels.push_back({t, label});
    }
    items.push_back({{"tokens", tokens}, {"labels", labels}});
  }
  return items;
}

// The first items that a task asks, and of those answered in words what they say and want.
Json asked_items(const Items& items, std::int64_t count) {
  Json list = Json::array();
  for (std::int64_t i = 0; i < std::min(count, items.count()); ++i) {
    const Item item = items.item(i);
    Json labels = Json::array();
    for (const Label& label : item.labels) labels.push_back({label.position, label.token});
    list.push_back({{"tokens", item.prompt}, {"labels", labels}});
    if (!item.continuations.empty()) list.back()["continuations"] = item.continuations;
    if (item.most_tokens == 0) continue;
    list.back()["most_tokens"] = item.most_tokens;
    list.back()["prompt"] =
        items.tokenizer()->decode(std::vector<std::int32_t>(item.prompt.begin(), item.prompt.end()));
    list.back()["answer"] = items.mark(i, item, {}).answer;
  }
  return list;
}

// Items as a model meets them.
int sample(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab data sample --task TASK [options]",
       .about = "Prints items that a task makes: token ids, and [position, label] pairs; with "
                "--asked also the text of questions that are answered in words.",
       .examples = "  mdnlab data sample --task mqar --set pairs=4 --seq-len 32 --count 2\n"
                   "  mdnlab data sample --task text --path experiments/data/tinyshakespeare.txt\n"
                   "  mdnlab data sample --task needle --set words=experiments/data/words --asked\n"});
  arguments.option("task TASK", "the task");
  arguments.list("set KEY=VALUE", "a setting of the task");
  arguments.flag("asked", "items of the test, not sequences to train on");
  arguments.option("count N", "items", "1");
  arguments.option("seed N", "of the task", "0");
  arguments.option("seq-len N", "tokens of an item", "64");
  arguments.option("path PATH", "the text, for tasks that read one");
  arguments.flag("json", "print JSON");
  add_text_words(arguments);
  if (!arguments.parse(words)) return 0;
  if (!arguments.has("task"))
    throw Error(Code::usage, {.what = "which task? --task is missing", .expected = "e.g. --task mqar"});
  const TaskKind& kind = find_task(arguments.text("task"), {});
  TaskContext context{.seq_len = arguments.integer("seq-len", 1),
                      .seed = static_cast<std::uint64_t>(arguments.integer("seed", 0))};
  if (kind.needs_corpus) {
    if (!arguments.has("path"))
      throw Error(Code::usage,
                  {.what = fmt::format("the task '{}' reads a text", kind.name), .expected = "--path FILE"});
    context.corpus =
        std::make_shared<const Corpus>(data_params(arguments, arguments.text("path"), "--path"), ".");
  }
  context.tokenizer = make_tokenizer(arguments.text("tokenizer"), ".", {.file = "--tokenizer"});
  context.base = ".";
  const std::unique_ptr<Task> task =
      kind.make(read_settings(arguments.texts("set"), "task", kind.fields), context);
  const std::int64_t count = arguments.integer("count", 1);
  const Json items = kind.trains && !arguments.has("asked") ? training_items(*task, count)
                                                            : asked_items(*task->items(Split::test), count);
  if (arguments.has("json")) {
    print(nlohmann::ordered_json{{"task", kind.name}, {"items", items}}.dump() + "\n");
  } else {
    for (const Json& item : items) {
      for (const auto& [key, value] : item.items()) print(fmt::format("{} {}\n", key, value.dump()));
    }
  }
  return 0;
}

constexpr const char* usage = "mdnlab data pack | info | sample";

int run(std::span<const std::string> words) {
  const std::string verb = words.empty() ? "" : words[0];
  if (verb == "pack") return pack(words.subspan(1));
  if (verb == "info") return info(words.subspan(1));
  if (verb == "sample") return sample(words.subspan(1));
  if (verb == "--help" || verb == "-h") {
    print(fmt::format(
        "usage: {}\n\n  pack    tokenise a text into a file that training maps\n  info    count a text\n"
        "  sample  print items that a task makes\n\nEach has its own --help.\n\nexamples:\n"
        "  mdnlab data info experiments/data/tinyshakespeare.txt\n"
        "  mdnlab data sample --task mqar --set pairs=4 --seq-len 32\n",
        usage));
    return 0;
  }
  const std::string verbs[] = {"pack", "info", "sample"};
  throw Error(Code::usage, {.what = verb.empty() ? "data: what?" : "data: unknown word",
                            .found = verb.empty() ? "" : quote(verb),
                            .hint = verb.empty() ? std::string("usage: ") + usage : suggestion(verb, verbs)});
}

}  // namespace

const Command data_command{"data", "pack, count and sample texts and tasks", run};

}  // namespace mdnlab
