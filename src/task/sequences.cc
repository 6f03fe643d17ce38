#include "task/sequences.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace mdnlab {

namespace {

// The positions of an epoch in an order that spreads neighbours evenly over it: a stride of the golden ratio.
class EvenOrder {
 public:
  explicit EvenOrder(std::int64_t count)
      : count_(count),
        stride_(std::max<std::int64_t>(1, std::llround(static_cast<double>(count) / std::numbers::phi))) {
    while (std::gcd(stride_, count_) != 1) ++stride_;
  }
  std::int64_t operator[](std::int64_t position) const {
    return static_cast<std::int64_t>(static_cast<unsigned __int128>(position) *
                                     static_cast<unsigned __int128>(stride_) %
                                     static_cast<unsigned __int128>(count_));
  }

 private:
  std::int64_t count_, stride_;
};

// The test, sequence by sequence: item i is sequence i of its size, one size after another.
class SequenceItems final : public Items {
 public:
  SequenceItems(std::vector<SequenceSize> sizes, std::int64_t examples,
                std::function<Random(std::int64_t index)> numbers)
      : sizes_(std::move(sizes)), examples_(examples), numbers_(std::move(numbers)) {}

  std::int64_t count() const override { return std::ssize(sizes_) * examples_; }

  Item item(std::int64_t index) const override {
    const SequenceSize& size = size_of(index);
    std::vector<std::int64_t> labels(static_cast<std::size_t>(size.length), no_label);
    Item item{.prompt = std::vector<std::int64_t>(labels.size(), 0), .length = size.length};
    Random random = numbers_(index);
    size.write(random, item.prompt.data(), labels.data());
    for (std::int64_t t = 0; t < size.length; ++t) {
      if (const std::int64_t label = labels[static_cast<std::size_t>(t)]; label != no_label)
        item.labels.push_back({t, label});
    }
    return item;
  }

  Mark mark(std::int64_t index, const Item& item, const Answer& answer) const override {
    const auto labels = static_cast<double>(item.labels.size());
    const std::vector<double>& ln_p = answer.log_probabilities[0];
    const auto right = std::ranges::count(answer.highest[0], true);
    const double nll = -std::accumulate(ln_p.begin(), ln_p.end(), 0.0);
    const std::string& cell = size_of(index).settings_json;
    return {.answer = told(item.labels),
            .prediction = fmt::format("{} of {} right", right, item.labels.size()),
            .values = {{.metric = "accuracy", .value = static_cast<double>(right) / labels, .cell = cell},
                       {.metric = "loss", .value = nll / labels, .weight = labels, .cell = cell}}};
  }

 private:
  static constexpr std::size_t labels_told = 16;

  const SequenceSize& size_of(std::int64_t index) const {
    return sizes_[static_cast<std::size_t>(index / examples_)];
  }

  static std::string told(const std::vector<Label>& labels) {
    std::string text;
    for (std::size_t i = 0; i < std::min(labels.size(), labels_told); ++i)
      text += (i > 0 ? " " : "") + std::to_string(labels[i].token);
    return text + (labels.size() > labels_told ? " …" : "");
  }

  std::vector<SequenceSize> sizes_;
  std::int64_t examples_;
  std::function<Random(std::int64_t index)> numbers_;
};

class SequenceTask final : public Task {
 public:
  explicit SequenceTask(Sequences sequences)
      : sequences_(std::move(sequences)), examples_(total(sequences_.trained)), order_(examples_) {
    for (const SequenceSize& size : sequences_.trained) longest_ = std::max(longest_, size.length);
  }

  std::int64_t vocab_size() const override { return sequences_.vocab_size; }
  std::string data_digest() const override { return sequences_.data_digest; }

  Batch training(std::int64_t first, std::int64_t count) const override {
    return mixed(Split::train, first, count);
  }

  std::unique_ptr<Evaluation> evaluation(Split split) const override;
  std::unique_ptr<const Items> items(Split split) const override {
    if (split != Split::test) return nullptr;
    if (sequences_.items) return sequences_.items();
    return std::make_unique<SequenceItems>(
        sequences_.asked, sequences_.test_examples,
        [all = sequences_](std::int64_t index) { return numbers(all, Split::test, index); });
  }

  // Sequences first … first+count−1 of a split, of the sizes trained.
  Batch mixed(Split split, std::int64_t first, std::int64_t count) const {
    return written_batch(count, longest_, [&](std::int64_t row, std::int64_t* tokens, std::int64_t* labels) {
      const std::int64_t index = first + row, place = index % examples_;
      write(size_at(place), split, split == Split::train ? place : index, tokens, labels);
    });
  }

  const Sequences& sequences() const { return sequences_; }
  std::int64_t longest() const { return longest_; }  // of the sizes trained

 private:
  static std::int64_t total(const std::vector<SequenceSize>& sizes) {
    std::int64_t sum = 0;
    for (const SequenceSize& size : sizes) sum += size.examples;
    return sum;
  }

  const SequenceSize& size_at(std::int64_t index) const {
    std::int64_t place = sequences_.trained.size() == 1 ? index : order_[index];
    auto size = sequences_.trained.begin();
    while (place >= size->examples) place -= (size++)->examples;
    return *size;
  }

  static Random numbers(const Sequences& all, Split split, std::int64_t index) {
    return Random{all.seed, all.purpose, static_cast<std::uint64_t>(split),
                  static_cast<std::uint64_t>(index)};
  }

  void write(const SequenceSize& size, Split split, std::int64_t index, std::int64_t* tokens,
             std::int64_t* labels) const {
    Random random = numbers(sequences_, split, index);
    (split == Split::valid && size.write_valid ? size.write_valid : size.write)(random, tokens, labels);
  }

  Sequences sequences_;
  std::int64_t examples_, longest_ = 0;
  EvenOrder order_;
};

// Of a validation: sequences of all sizes trained, pooled.
class Validation final : public Evaluation {
 public:
  explicit Validation(const SequenceTask& task) : task_(task) {}

  std::optional<Batch> next(std::int64_t most_tokens) override {
    const std::int64_t rows = std::min(std::max<std::int64_t>(1, most_tokens / task_.longest()),
                                       task_.sequences().test_examples - done_);
    if (rows == 0) return std::nullopt;
    done_ += rows;
    return task_.mixed(Split::valid, done_ - rows, rows);
  }

  void add(const Batch& batch, const Predictions& predictions) override {
    const std::int64_t* label = batch.labels_BT.const_data_ptr<std::int64_t>();
    const bool* correct = predictions.correct.const_data_ptr<bool>();
    const double* nll = predictions.nll.const_data_ptr<double>();
    for (std::int64_t row = 0; row < batch.labels_BT.size(0); ++row) {
      std::int64_t asked = 0, right = 0;
      for (std::int64_t t = 0; t < batch.labels_BT.size(1); ++t) {
        if (*label++ == no_label) continue;
        ++asked;
        right += *correct++;
        nll_ += *nll++;
      }
      accuracies_.push_back(static_cast<double>(right) / static_cast<double>(asked));
      labels_ += asked;
    }
  }

  std::vector<Score> scores() const override {
    const auto n = static_cast<double>(accuracies_.size());
    const double mean = std::accumulate(accuracies_.begin(), accuracies_.end(), 0.0) / n;
    Score score{.task = task_.sequences().task,
                .metric = "accuracy",
                .length = task_.longest(),
                .n = std::ssize(accuracies_),
                .value = mean,
                .settings_json = task_.sequences().trained[0].settings_json};
    double squares = 0;
    for (const double accuracy : accuracies_) squares += (accuracy - mean) * (accuracy - mean);
    if (score.n > 1) score.stderr_value = std::sqrt(squares / (n - 1) / n);
    Score loss = score;
    loss.metric = "loss";
    loss.n = labels_;
    loss.value = nll_ / static_cast<double>(labels_);
    loss.stderr_value.reset();
    return {score, loss};
  }

 private:
  const SequenceTask& task_;
  std::vector<double> accuracies_;  // of the sequences
  std::int64_t labels_ = 0, done_ = 0;
  double nll_ = 0;
};

std::unique_ptr<Evaluation> SequenceTask::evaluation(Split split) const {
  if (split == Split::test) return nullptr;
  return std::make_unique<Validation>(*this);
}

}  // namespace

std::unique_ptr<Task> sequence_task(Sequences sequences) {
  return std::make_unique<SequenceTask>(std::move(sequences));
}

Batch written_batch(
    std::int64_t rows, std::int64_t length,
    const std::function<void(std::int64_t row, std::int64_t* tokens, std::int64_t* labels)>& write) {
  Batch batch{at::zeros({rows, length}, at::kLong), at::full({rows, length}, no_label, at::kLong), {}};
  for (std::int64_t row = 0; row < rows; ++row) {
    write(row, batch.tokens_BT.data_ptr<std::int64_t>() + row * length,
          batch.labels_BT.data_ptr<std::int64_t>() + row * length);
  }
  return batch;
}

}  // namespace mdnlab
