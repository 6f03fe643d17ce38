// Language modelling: the next token everywhere, but across a document's start. Evaluated on windows of one
// or more times the training length: loss (nats a token), bits per byte of the text, perplexity, and
// perplexity by position in buckets of one training length.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "data/windows.h"
#include "task/tasks.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {
    {.name = "length_factors",
     .type = Type::integers,
     .preset = "[1, 4]",
     .doc = "test windows, as multiples of the training length",
     .least = 1,
     .most = 4096},
    {.name = "most_tokens",
     .type = Type::integer,
     .preset = "0",
     .doc = "tokens of each evaluation, from the split's beginning; 0: the whole split",
     .least = 0}};

// Sequences as rows: `read(i, tokens, starts)` gives window i (data/windows.h).
template <class Read>
Batch windows_batch(std::int64_t seq_len, std::int64_t count, Read read) {
  Batch batch{at::empty({count, seq_len}, at::kLong), at::empty({count, seq_len}, at::kLong), {}};
  std::vector<std::int64_t> window(static_cast<std::size_t>(seq_len) + 1);
  std::vector<std::int32_t> starts, all_starts;
  for (std::int64_t row = 0; row < count; ++row) {
    read(row, window.data(), starts);
    std::int64_t* labels = batch.labels_BT.data_ptr<std::int64_t>() + row * seq_len;
    std::copy_n(window.data(), seq_len, batch.tokens_BT.data_ptr<std::int64_t>() + row * seq_len);
    std::copy_n(window.data() + 1, seq_len, labels);
    for (const std::int32_t start : starts) {
      if (start > 0) labels[start - 1] = no_label;
      if (start < seq_len) all_starts.push_back(static_cast<std::int32_t>(row * seq_len + start));
    }
  }
  batch.documents = ops::documents(count, seq_len, std::move(all_starts));
  return batch;
}

class Text final : public Task {
 public:
  Text(const Params& options, const TaskContext& context)
      : corpus_(context.corpus),
        seq_len_(context.seq_len),
        factors_(options.integers("length_factors")),
        most_tokens_(options.integer("most_tokens")),
        training_(*corpus_, Split::train, seq_len_, context.seed) {
    if (factors_.empty()) throw options.error("length_factors", "length_factors is empty", "[1, 4]");
    for (const std::int64_t factor : factors_)
      (void)Windows(*corpus_, Split::test, factor * seq_len_);  // long enough
  }

  std::int64_t vocab_size() const override { return corpus_->vocab_size(); }
  std::string data_digest() const override { return corpus_->digest(); }

  Batch training(std::int64_t first, std::int64_t count) const override {
    return windows_batch(seq_len_, count,
                         [&](std::int64_t row, std::int64_t* tokens, std::vector<std::int32_t>& starts) {
                           training_.training(first + row, tokens, starts);
                         });
  }

  std::unique_ptr<Evaluation> evaluation(Split split) const override;

  const Corpus& corpus() const { return *corpus_; }
  std::int64_t seq_len() const { return seq_len_; }
  std::int64_t most_tokens() const { return most_tokens_; }
  const std::vector<std::int64_t>& factors() const { return factors_; }

 private:
  std::shared_ptr<const Corpus> corpus_;
  std::int64_t seq_len_;
  std::vector<std::int64_t> factors_;
  std::int64_t most_tokens_;
  mutable Windows training_;  // keeps the order of one epoch
};

struct Sums {
  double nll = 0, bytes = 0;
  std::int64_t tokens = 0;

  void add(double token_nll, double token_bytes) {
    nll += token_nll;
    bytes += token_bytes;
    ++tokens;
  }
};

class TextEvaluation final : public Evaluation {
 public:
  TextEvaluation(const Text& task, Split split, std::vector<std::int64_t> factors, bool by_position)
      : task_(task), split_(split), by_position_(by_position) {
    for (const std::int64_t factor : factors) {
      passes_.push_back({factor,
                         Windows(task.corpus(), split, factor * task.seq_len()),
                         {},
                         std::vector<Sums>(static_cast<std::size_t>(factor))});
    }
  }

  std::optional<Batch> next(std::int64_t most_tokens) override {
    while (pass_ < passes_.size()) {
      const Windows& windows = passes_[pass_].windows;
      const std::int64_t length = windows.seq_len();
      const std::int64_t wanted =
          task_.most_tokens() == 0
              ? windows.count()
              : std::min(windows.count(), std::max<std::int64_t>(1, task_.most_tokens() / length));
      const std::int64_t rows = std::min(std::max<std::int64_t>(1, most_tokens / length), wanted - done_);
      if (rows > 0) {
        const std::int64_t first = done_;
        done_ += rows;
        return windows_batch(length, rows,
                             [&](std::int64_t row, std::int64_t* tokens, std::vector<std::int32_t>& starts) {
                               windows.sequential(first + row, tokens, starts);
                             });
      }
      ++pass_;
      done_ = 0;
    }
    return std::nullopt;
  }

  void add(const Batch& batch, const Predictions& predictions) override {
    Pass& pass = passes_[pass_];
    const at::Tensor labels = batch.labels_BT.contiguous();
    const std::int64_t length = labels.size(1);
    const double* nll = predictions.nll.data_ptr<double>();
    for (std::int64_t i = 0; i < labels.numel(); ++i) {
      const std::int64_t label = labels.data_ptr<std::int64_t>()[i];
      if (label == no_label) continue;
      const double bytes = task_.corpus().token_bytes(static_cast<std::int32_t>(label));
      pass.all.add(*nll, bytes);
      pass.buckets[static_cast<std::size_t>(i % length / task_.seq_len())].add(*nll++, bytes);
    }
  }

  std::vector<Score> scores() const override {
    std::vector<Score> list;
    for (const Pass& pass : passes_) {
      const auto score = [&](const char* metric, const Sums& sums, double value, std::string settings) {
        list.push_back({.task = "text",
                        .metric = metric,
                        .length = pass.factor * task_.seq_len(),
                        .n = sums.tokens,
                        .value = value,
                        .settings_json = std::move(settings)});
      };
      const std::string whole =
          fmt::format(R"({{"length_factor":{},"split":"{}"}})", pass.factor, split_name(split_));
      const double loss = pass.all.nll / static_cast<double>(pass.all.tokens);
      score("loss", pass.all, loss, whole);
      score("bits_per_byte", pass.all, pass.all.nll / std::numbers::ln2 / pass.all.bytes, whole);
      score("perplexity", pass.all, std::exp(loss), whole);
      for (std::size_t b = 0; by_position_ && b < pass.buckets.size(); ++b) {
        const Sums& bucket = pass.buckets[b];
        if (bucket.tokens == 0) continue;
        score("perplexity", bucket, std::exp(bucket.nll / static_cast<double>(bucket.tokens)),
              fmt::format(R"({{"length_factor":{},"split":"{}","position_from":{},"position_to":{}}})",
                          pass.factor, split_name(split_), static_cast<std::int64_t>(b) * task_.seq_len(),
                          static_cast<std::int64_t>(b + 1) * task_.seq_len()));
      }
    }
    return list;
  }

 private:
  struct Pass {
    std::int64_t factor;
    Windows windows;
    Sums all;
    std::vector<Sums> buckets;  // one training length each
  };

  const Text& task_;
  Split split_;
  bool by_position_;
  std::vector<Pass> passes_;
  std::size_t pass_ = 0;
  std::int64_t done_ = 0;  // windows of the pass
};

// While training, one number at the training length; afterwards, all of it.
std::unique_ptr<Evaluation> Text::evaluation(Split split) const {
  const bool is_test = split == Split::test;
  return std::make_unique<TextEvaluation>(*this, split, is_test ? factors_ : std::vector<std::int64_t>{1},
                                          is_test);
}

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  return std::make_unique<Text>(options, context);
}

}  // namespace

const TaskKind text_task{"text", 1,      "language modelling: loss, bits per byte, perplexity by position",
                         true,   fields, make};

}  // namespace mdnlab
