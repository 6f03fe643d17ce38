// Multi-query associative recall (recall.h) of one size, or of several in one training.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "task/recall.h"
#include "task/sequences.h"
#include "task/tasks.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {
    recall_vocabulary_field,
    {.name = "pairs",
     .type = Type::integer,
     .preset = "8",
     .doc = "D: key–value pairs in a sequence",
     .least = 1},
    recall_length_field,
    {.name = "sizes",
     .type = Type::texts,
     .preset = nullptr,
     .doc = "several sizes, each LxD or, to train on, LxDxEXAMPLES, e.g. [64x4x100000, 128x8x20000]; in the "
            "place of length, pairs and train_examples"},
    recall_power_field,
    recall_filler_field,
    recall_separator_field,
    train_examples_field,
    test_examples_field};

struct Size {
  std::int64_t length, pairs, examples;
};

Size read_size(const std::string& word, const Params& options) {
  Size size{0, 0, options.integer("train_examples")};
  const std::vector<std::string> parts = split(word, 'x');
  std::int64_t* const numbers[] = {&size.length, &size.pairs, &size.examples};
  bool is_valid = parts.size() == 2 || parts.size() == 3;
  for (std::size_t i = 0; is_valid && i < parts.size(); ++i)
    is_valid = parse_integer(parts[i], *numbers[i]) && *numbers[i] >= 1;
  if (!is_valid) {
    throw options.error("sizes", quote(word) + " is no size",
                        "LxD or LxDxEXAMPLES: tokens, pairs, different training sequences, e.g. 64x4");
  }
  return size;
}

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  std::vector<Size> sizes;
  const bool several = options.is_set("sizes");
  if (several) {
    for (const std::string& word : options.texts("sizes")) sizes.push_back(read_size(word, options));
    if (sizes.empty()) throw options.error("sizes", "sizes is empty", "[64x4]");
  } else {
    sizes.push_back({options.is_set("length") ? options.integer("length") : context.seq_len,
                     options.integer("pairs"), options.integer("train_examples")});
  }
  Sequences sequences{.task = "mqar",
                      .purpose = 0x6d716172,
                      .seed = context.seed,
                      .test_examples = options.integer("test_examples")};
  Recall recall = read_recall(options);
  sequences.vocab_size = recall_vocab_size(recall);
  for (const Size& size : sizes) {
    recall.length = size.length;
    recall.pairs = size.pairs;
    check_recall(recall, options, several ? "sizes" : "pairs");
    sequences.trained.push_back(
        {.length = size.length,
         .examples = size.examples,
         .settings_json = recall_settings(recall, context.seed),
         .write = [recall](Random& random, std::int64_t* tokens, std::int64_t* labels) {
           write_recall(recall, random, tokens, labels);
         }});
  }
  sequences.asked = sequences.trained;
  return sequence_task(std::move(sequences));
}

}  // namespace

const TaskKind mqar_task{"mqar", 1,      "multi-query associative recall: name the value of each key again",
                         false,  fields, make};

}  // namespace mdnlab
