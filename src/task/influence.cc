// How much an output still holds of the value that an earlier token wrote: the median of |c(t,i)| in
// o_t = Σ_i c(t,i) v_i, by lag t − i, in sequences like those that the model was trained on, or in a text.
#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "data/documents.h"
#include "task/continuation.h"
#include "task/given_lines.h"
#include "task/tasks.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {
    {.name = "path",
     .type = Type::text,
     .preset = nullptr,
     .doc =
         "a text to read; when unset, sequences of the task that the model was trained on, of its valid split"},
    {.name = "lengths",
     .type = Type::integers,
     .preset = nullptr,
     .doc = "tokens of a sequence at most, a reading each; train.seq_len when unset",
     .least = 2},
    {.name = "lags",
     .type = Type::integers,
     .preset = nullptr,
     .doc = "t − i, in tokens; when unset 0, 1, 2, 4, … up to half the length",
     .least = 0},
    {.name = "samples", .type = Type::integer, .preset = "8", .doc = "sequences of each length", .least = 1},
    {.name = "seed", .type = Type::integer, .preset = "0", .doc = "of sequences that are drawn", .least = 0},
    {.name = "heads", .type = Type::boolean, .preset = "false", .doc = "a score of each layer and head too"}};

struct Reading {
  std::int64_t length;  // that was asked for
  std::vector<std::int64_t> tokens;
};

std::vector<std::int64_t> lags_of(const Params& options, std::int64_t length) {
  std::vector<std::int64_t> lags;
  if (options.is_set("lags")) {
    lags = options.integers("lags");
    std::erase_if(lags, [&](std::int64_t lag) { return lag >= length; });
    if (lags.empty())
      throw options.error("lags", fmt::format("no lag is below the {} tokens of a sequence", length),
                          fmt::format("0 to {}", length - 1));
    return lags;
  }
  lags.push_back(0);
  for (std::int64_t lag = 1; 2 * lag <= length; lag *= 2) lags.push_back(lag);
  return lags;
}

class InfluenceItems final : public Items {
 public:
  InfluenceItems(std::shared_ptr<const std::vector<Reading>> readings, Params options)
      : readings_(std::move(readings)), options_(std::move(options)) {}

  std::int64_t count() const override { return std::ssize(*readings_); }

  Item item(std::int64_t index) const override {
    const Reading& reading = (*readings_)[static_cast<std::size_t>(index)];
    return {.prompt = reading.tokens,
            .influence_lags = lags_of(options_, reading.length),
            .length = reading.length};
  }

  Mark mark(std::int64_t, const Item&, const Answer& answer) const override {
    Mark mark;
    for (const Influence& influence : answer.influence) {
      const bool is_head = influence.layer >= 0;
      if (is_head && !options_.boolean("heads")) continue;
      mark.values.push_back({.metric = is_head ? "head_influence" : "influence",
                             .value = influence.median,
                             .cell = is_head ? fmt::format(R"({{"lag":{},"layer":{},"head":{}}})",
                                                           influence.lag, influence.layer, influence.head)
                                             : fmt::format(R"({{"lag":{}}})", influence.lag)});
      if (!is_head)
        mark.prediction +=
            fmt::format("{}{}: {:.3g}", mark.prediction.empty() ? "" : ", ", influence.lag, influence.median);
    }
    return mark;
  }

 private:
  std::shared_ptr<const std::vector<Reading>> readings_;
  Params options_;
};

// The beginnings of a task's valid sequences, each up to its last label: padding follows it.
void read_sequences(const Task& task, std::int64_t length, std::int64_t samples,
                    std::vector<Reading>& readings) {
  const std::unique_ptr<Evaluation> evaluation = task.evaluation(Split::valid);
  while (const std::optional<Batch> batch = evaluation->next(length * samples)) {
    const std::int64_t width = batch->tokens_BT.size(1);
    for (std::int64_t row = 0; row < batch->tokens_BT.size(0); ++row) {
      const std::int64_t* tokens = batch->tokens_BT.const_data_ptr<std::int64_t>() + row * width;
      const std::int64_t* labels = batch->labels_BT.const_data_ptr<std::int64_t>() + row * width;
      std::int64_t end = width;
      while (end > 1 && labels[end - 1] == no_label) --end;
      readings.push_back({length, {tokens, tokens + std::min(end, length)}});
      if (--samples == 0) return;
    }
  }
}

std::vector<std::int64_t> text_tokens(const Params& options, const TaskContext& context) {
  std::vector<std::int64_t> tokens;
  read_documents(given_file(options, context), "text", [&](std::string_view document) {
    const std::vector<std::int64_t> more = tokens_of(*context.tokenizer, std::string(document));
    tokens.insert(tokens.end(), more.begin(), more.end());
  });
  return tokens;
}

// Blocks of a text, from its beginning.
void read_blocks(const Params& options, const std::vector<std::int64_t>& tokens, std::int64_t length,
                 std::vector<Reading>& readings) {
  if (length > std::ssize(tokens)) {
    throw options.error("lengths",
                        fmt::format("the text has {} tokens, too few for a sequence of {}",
                                    grouped(std::ssize(tokens)), grouped(length)),
                        "at most " + grouped(std::ssize(tokens)));
  }
  const std::int64_t most = std::min(options.integer("samples"), std::ssize(tokens) / length);
  for (std::int64_t i = 0; i < most; ++i)
    readings.push_back({length, {tokens.begin() + i * length, tokens.begin() + (i + 1) * length}});
}

class InfluenceTask final : public Task {
 public:
  InfluenceTask(const Params& options, const TaskContext& context) : options_(options) {
    std::vector<std::int64_t> lengths{context.seq_len};
    if (options.is_set("lengths")) lengths = options.integers("lengths");
    if (lengths.empty()) throw options.error("lengths", "lengths is empty", "e.g. [1024]");
    for (const std::int64_t length : lengths) (void)lags_of(options, length);
    if (options.is_set("path")) {
      const std::vector<std::int64_t> tokens = text_tokens(options, context);
      for (const std::int64_t length : lengths) read_blocks(options, tokens, length, *readings_);
      vocab_size_ = context.tokenizer->vocab_size();
    } else {
      if (!context.trained) {
        throw options.error("path", "nothing says which task the model was trained on",
                            "path=FILE, a text to read instead");
      }
      for (const std::int64_t length : lengths) {
        const auto task = context.trained(length, static_cast<std::uint64_t>(options.integer("seed")));
        read_sequences(*task, length, options.integer("samples"), *readings_);
        vocab_size_ = task->vocab_size();
      }
    }
    std::string all;
    for (const Reading& reading : *readings_)
      all.append(reinterpret_cast<const char*>(reading.tokens.data()),
                 reading.tokens.size() * sizeof(std::int64_t));
    digest_ = sha256(all);
  }

  std::int64_t vocab_size() const override { return vocab_size_; }
  std::string data_digest() const override { return digest_; }
  std::unique_ptr<const Items> items(Split) const override {
    return std::make_unique<const InfluenceItems>(readings_, options_);
  }

 private:
  Params options_;
  std::shared_ptr<std::vector<Reading>> readings_ = std::make_shared<std::vector<Reading>>();
  std::int64_t vocab_size_ = 0;
  std::string digest_;
};

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  return std::make_unique<InfluenceTask>(options, context);
}

}  // namespace

const TaskKind influence_task{
    "influence", 2,    "how much an output holds of the values of earlier tokens, by lag", false, fields,
    make,        false};

}  // namespace mdnlab
