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
  std::string corpus_name() const override { return corpus_->file_name(); }

  Batch training(std::int64_t first, std::int64_t count) const override {
    return windows_batch(seq_len_, count,
                         [&](std::int64_t row, std::int64_t* tokens, std::vector<std::int32_t>& starts) {
                           training_.training(first + row, tokens, starts);
                         });
  }

  std::unique_ptr<Evaluation> evaluation(Split split) const override;
  std::unique_ptr<const Items> items(Split split) const override;

  const Corpus& corpus() const { return *corpus_; }
  std::int64_t seq_len() const { return seq_len_; }
  const std::vector<std::int64_t>& factors() const { return factors_; }
  // Of one evaluation.
  std::int64_t windows_of(const Windows& windows) const {
    if (most_tokens_ == 0) return windows.count();
    return std::min(windows.count(), std::max<std::int64_t>(1, most_tokens_ / windows.seq_len()));
  }

 private:
  std::shared_ptr<const Corpus> corpus_;
  std::int64_t seq_len_;
  std::vector<std::int64_t> factors_;
  std::int64_t most_tokens_;
  mutable Windows training_;  // keeps the order of one epoch
};

std::string cell_of(std::int64_t factor, Split split, const std::string& more = "") {
  return fmt::format(R"({{"length_factor":{},"split":"{}"{}}})", factor, split_name(split), more);
}

// While training, one number at the training length.
class Validation final : public Evaluation {
 public:
  Validation(const Text& task, Split split)
      : task_(task), split_(split), windows_(task.corpus(), split, task.seq_len()) {}

  std::optional<Batch> next(std::int64_t most_tokens) override {
    const std::int64_t rows = std::min(std::max<std::int64_t>(1, most_tokens / windows_.seq_len()),
                                       task_.windows_of(windows_) - done_);
    if (rows == 0) return std::nullopt;
    const std::int64_t first = done_;
    done_ += rows;
    return windows_batch(windows_.seq_len(), rows,
                         [&](std::int64_t row, std::int64_t* tokens, std::vector<std::int32_t>& starts) {
                           windows_.sequential(first + row, tokens, starts);
                         });
  }

  void add(const Batch& batch, const Predictions& predictions) override {
    const at::Tensor labels = batch.labels_BT.contiguous();
    const double* nll = predictions.nll.data_ptr<double>();
    for (std::int64_t i = 0; i < labels.numel(); ++i) {
      const std::int64_t label = labels.data_ptr<std::int64_t>()[i];
      if (label == no_label) continue;
      nll_ += *nll++;
      bytes_ += task_.corpus().token_bytes(static_cast<std::int32_t>(label));
      ++tokens_;
    }
  }

  std::vector<Score> scores() const override {
    const double loss = nll_ / static_cast<double>(tokens_);
    std::vector<Score> list;
    for (const auto& [metric, value] : {std::pair{"loss", loss},
                                        {"bits_per_byte", nll_ / std::numbers::ln2 / bytes_},
                                        {"perplexity", std::exp(loss)}}) {
      list.push_back({.task = "text",
                      .metric = metric,
                      .length = task_.seq_len(),
                      .n = tokens_,
                      .value = value,
                      .settings_json = cell_of(1, split_)});
    }
    return list;
  }

 private:
  const Text& task_;
  Split split_;
  Windows windows_;
  double nll_ = 0, bytes_ = 0;
  std::int64_t tokens_ = 0, done_ = 0;  // windows
};

// Afterwards, all lengths. An item is a window, or what stands of one document in it.
class TextItems final : public Items {
 public:
  TextItems(const Text& task, Split split) : task_(task), split_(split) {
    for (const std::int64_t factor : task.factors()) {
      passes_.push_back({factor, Windows(task.corpus(), split, factor * task.seq_len())});
      add_pieces(passes_.size() - 1);
    }
  }

  std::int64_t count() const override { return std::ssize(pieces_); }

  Item item(std::int64_t index) const override {
    const Piece& piece = pieces_[static_cast<std::size_t>(index)];
    const Windows& windows = passes_[piece.pass].windows;
    std::vector<std::int64_t> window(static_cast<std::size_t>(windows.seq_len()) + 1);
    std::vector<std::int32_t> unused;
    windows.sequential(piece.window, window.data(), unused);
    const auto first = window.begin() + piece.first;
    Item item{.prompt = {first, first + piece.labels}, .length = windows.seq_len()};
    for (std::int64_t t = 0; t < piece.labels; ++t) item.labels.push_back({t, first[t + 1]});
    return item;
  }

  Mark mark(std::int64_t index, const Item& item, const Answer& answer) const override {
    const Piece& piece = pieces_[static_cast<std::size_t>(index)];
    const std::int64_t factor = passes_[piece.pass].factor, bucket = task_.seq_len();
    const std::vector<double>& ln_p = answer.log_probabilities[0];
    Mark mark;
    const auto add = [&](const char* metric, double sum, double units, Mean mean, std::string cell) {
      mark.values.push_back(
          {.metric = metric, .value = sum / units, .weight = units, .mean = mean, .cell = std::move(cell)});
    };
    double nll = 0, bytes = 0;
    for (std::int64_t t = 0; t < piece.labels;) {
      const std::int64_t from = (piece.first + t) / bucket * bucket;
      double of_bucket = 0, tokens = 0;
      for (; t < piece.labels && piece.first + t < from + bucket; ++t, ++tokens) {
        of_bucket -= ln_p[static_cast<std::size_t>(t)];
        bytes += task_.corpus().token_bytes(
            static_cast<std::int32_t>(item.labels[static_cast<std::size_t>(t)].token));
      }
      nll += of_bucket;
      add("perplexity", of_bucket, tokens, Mean::exponential,
          cell_of(factor, split_,
                  fmt::format(R"(,"position_from":{},"position_to":{})", from, from + bucket)));
    }
    const auto tokens = static_cast<double>(piece.labels);
    add("loss", nll, tokens, Mean::plain, cell_of(factor, split_));
    add("perplexity", nll, tokens, Mean::exponential, cell_of(factor, split_));
    // What has no bytes (the end of a text alone) adds its nats all the same.
    add("bits_per_byte", nll / std::numbers::ln2, std::max(bytes, 1e-9), Mean::plain,
        cell_of(factor, split_));
    return mark;
  }

 private:
  struct Pass {
    std::int64_t factor;
    Windows windows;
  };
  struct Piece {
    std::size_t pass;
    std::int64_t window, first, labels;  // tokens first … first+labels−1 are read, the next ones wanted
  };

  void add_pieces(std::size_t pass) {
    const Windows& windows = passes_[pass].windows;
    std::vector<std::int64_t> unused(static_cast<std::size_t>(windows.seq_len()) + 1);
    std::vector<std::int32_t> starts;
    for (std::int64_t window = 0; window < task_.windows_of(windows); ++window) {
      windows.sequential(window, unused.data(), starts);
      starts.push_back(static_cast<std::int32_t>(windows.seq_len()) + 1);
      for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
        const std::int64_t first = starts[i], labels = starts[i + 1] - first - 1;
        if (labels > 0) pieces_.push_back({pass, window, first, labels});
      }
    }
  }

  const Text& task_;
  Split split_;
  std::vector<Pass> passes_;
  std::vector<Piece> pieces_;
};

std::unique_ptr<Evaluation> Text::evaluation(Split split) const {
  if (split == Split::test) return nullptr;
  return std::make_unique<Validation>(*this, split);
}

std::unique_ptr<const Items> Text::items(Split split) const {
  if (split != Split::test) return nullptr;
  return std::make_unique<const TextItems>(*this, split);
}

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  return std::make_unique<Text>(options, context);
}

}  // namespace

const TaskKind text_task{"text", 1,      "language modelling: loss, bits per byte, perplexity by position",
                         true,   fields, make};

}  // namespace mdnlab
