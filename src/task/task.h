// A task makes batches to train on, and asks: by batches whose labels are predicted (Evaluation), or item by
// item (task/item.h). It never sees a model: eval/ brings the two together. A task is one file and one row of
// the table in tasks.cc. Settings that tasks share have one name: lengths (tokens of context, a list), depths
// (0 to 1, a list), samples (items of each length and depth), seed (of the items, the same for every model),
// path (of the data, data/path.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/params.h"
#include "data/corpus.h"
#include "metric/sink.h"
#include "ops/cross_entropy.h"
#include "ops/documents.h"
#include "task/item.h"

namespace mdnlab {

inline constexpr std::int64_t no_label = ops::kNoLabel;

// Row b, position t: the model reads tokens up to and including t and predicts labels[b,t] (already shifted),
// where that is not no_label. All on the CPU.
struct Batch {
  at::Tensor tokens_BT;  // int64
  at::Tensor labels_BT;  // int64
  ops::Documents documents;
};

// What a model said of a batch: at each labelled position, in the order of labels_BT ≠ no_label.
struct Predictions {
  at::Tensor nll;      // float64 [labels], on the CPU: −ln p(label)
  at::Tensor correct;  // bool [labels], on the CPU: the label has the highest logit
};

// One pass over the items of one setting. next() gives batches until none are left; add() takes each one's
// predictions, in order; scores() then reports.
class Evaluation {
 public:
  virtual ~Evaluation() = default;
  virtual std::optional<Batch> next(
      std::int64_t most_tokens) = 0;  // about this many tokens a batch, one row at least
  virtual void add(const Batch& batch, const Predictions& predictions) = 0;
  virtual std::vector<Score> scores() const = 0;
};

class Task {
 public:
  virtual ~Task() = default;
  virtual std::int64_t vocab_size() const = 0;
  // Identifies everything behind batches and items that the task's options do not say (corpus, files,
  // tokenizer); "" when nothing.
  virtual std::string data_digest() const = 0;
  // The name of the corpus that it reads, for people; "" when none.
  virtual std::string corpus_name() const { return ""; }
  // Training sequences first … first+count−1: a function of the task's seed and their indices alone. Only of
  // a kind that `trains`.
  virtual Batch training(std::int64_t first, std::int64_t count) const;
  // One of the two is there: batches, or items, which live as long as the task.
  virtual std::unique_ptr<Evaluation> evaluation(Split split) const;
  virtual std::unique_ptr<const Items> items(Split split) const;
};

// What a task is made from.
struct TaskContext {
  std::shared_ptr<const Corpus> corpus;        // null unless the kind needs one
  std::shared_ptr<const Tokenizer> tokenizer;  // of the model's text: the corpus's, or bytes without one
  std::filesystem::path base;                  // the folder of the YAML file, for relative paths
  std::int64_t seq_len = 0;                    // of training
  std::uint64_t seed = 0;
  // Makes the task that the model was trained on, with other lengths and another seed; empty where nothing
  // says what it was. Lives as long as the call of TaskKind::make.
  std::function<std::shared_ptr<const Task>(std::int64_t seq_len, std::uint64_t seed)> trained = {};
};

struct TaskKind {
  const char* name;
  int version;  // raised whenever its batches or scores change: it is part of every run's key
  const char* summary;
  bool needs_corpus;
  std::span<const Field> fields;
  std::unique_ptr<Task> (*make)(const Params& options, const TaskContext& context);
  bool trains = true;  // false: it only asks
};

std::span<const TaskKind> task_kinds();
const TaskKind& find_task(std::string_view name,
                          const Place& place);  // unknown: Code::usage with the nearest

}  // namespace mdnlab
