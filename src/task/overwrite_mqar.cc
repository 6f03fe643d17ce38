// Associative recall with updates (recall.h): some keys are written again, and the value written last is
// wanted.
#include "task/recall.h"
#include "task/sequences.h"
#include "task/tasks.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {
    recall_vocabulary_field,
    {.name = "pairs", .type = Type::integer, .preset = "8", .doc = "D: keys in a sequence", .least = 1},
    {.name = "updates",
     .type = Type::integer,
     .preset = "8",
     .doc = "U: times that one of the keys, at random, is written again",
     .least = 1},
    recall_length_field,
    recall_power_field,
    recall_filler_field,
    recall_separator_field,
    train_examples_field,
    test_examples_field};

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  Recall recall = read_recall(options);
  recall.length = options.is_set("length") ? options.integer("length") : context.seq_len;
  recall.pairs = options.integer("pairs");
  recall.updates = options.integer("updates");
  check_recall(recall, options, "pairs");
  const SequenceSize size{.length = recall.length,
                          .examples = options.integer("train_examples"),
                          .settings_json = recall_settings(recall, context.seed),
                          .write = [recall](Random& random, std::int64_t* tokens, std::int64_t* labels) {
                            write_recall(recall, random, tokens, labels);
                          }};
  return sequence_task({.task = "overwrite_mqar",
                        .purpose = 0x6f7665727772,
                        .seed = context.seed,
                        .vocab_size = recall_vocab_size(recall),
                        .trained = {size},
                        .asked = {size},
                        .test_examples = options.integer("test_examples")});
}

}  // namespace

const TaskKind overwrite_mqar_task{
    "overwrite_mqar", 1,   "recall after updates: name the value that each key was given last", false,
    fields,           make};

}  // namespace mdnlab
