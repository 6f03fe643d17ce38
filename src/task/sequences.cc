#include "task/sequences.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

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
    return asks_items(split) ? sequences_.items() : nullptr;
  }

  // Sequences first … first+count−1 of a split, of the sizes trained.
  Batch mixed(Split split, std::int64_t first, std::int64_t count) const {
    return written_batch(count, longest_, [&](std::int64_t row, std::int64_t* tokens, std::int64_t* labels) {
      const std::int64_t index = first + row, place = index % examples_;
      write(size_at(place), split, split == Split::train ? place : index, tokens, labels);
    });
  }

  // Sequences first … first+count−1 of those asked in one size.
  Batch asked(std::size_t size, std::int64_t first, std::int64_t count) const {
    const SequenceSize& asked = sequences_.asked[size];
    return written_batch(
        count, asked.length, [&](std::int64_t row, std::int64_t* tokens, std::int64_t* labels) {
          write(asked, Split::test, static_cast<std::int64_t>(size) * sequences_.test_examples + first + row,
                tokens, labels);
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

  bool asks_items(Split split) const { return split == Split::test && sequences_.items; }

  const SequenceSize& size_at(std::int64_t index) const {
    std::int64_t place = sequences_.trained.size() == 1 ? index : order_[index];
    auto size = sequences_.trained.begin();
    while (place >= size->examples) place -= (size++)->examples;
    return *size;
  }

  void write(const SequenceSize& size, Split split, std::int64_t index, std::int64_t* tokens,
             std::int64_t* labels) const {
    Random random{sequences_.seed, sequences_.purpose, static_cast<std::uint64_t>(split),
                  static_cast<std::uint64_t>(index)};
    size.write(random, tokens, labels);
  }

  Sequences sequences_;
  std::int64_t examples_, longest_ = 0;
  EvenOrder order_;
};

struct Sums {
  std::vector<double> accuracies;  // of the sequences
  std::int64_t labels = 0;
  double nll = 0;
};

class SequenceEvaluation final : public Evaluation {
 public:
  SequenceEvaluation(const SequenceTask& task, bool is_test)
      : task_(task), is_test_(is_test), sums_(is_test ? task.sequences().asked.size() : 1) {}

  std::optional<Batch> next(std::int64_t most_tokens) override {
    const Sequences& all = task_.sequences();
    while (size_ < sums_.size()) {
      const std::int64_t length = is_test_ ? all.asked[size_].length : task_.longest();
      const std::int64_t rows =
          std::min(std::max<std::int64_t>(1, most_tokens / length), all.test_examples - done_);
      if (rows > 0) {
        done_ += rows;
        return is_test_ ? task_.asked(size_, done_ - rows, rows)
                        : task_.mixed(Split::valid, done_ - rows, rows);
      }
      ++size_;
      done_ = 0;
    }
    return std::nullopt;
  }

  void add(const Batch& batch, const Predictions& predictions) override {
    const std::int64_t* label = batch.labels_BT.const_data_ptr<std::int64_t>();
    const bool* correct = predictions.correct.const_data_ptr<bool>();
    const double* nll = predictions.nll.const_data_ptr<double>();
    Sums& sums = sums_[size_];
    for (std::int64_t row = 0; row < batch.labels_BT.size(0); ++row) {
      std::int64_t asked = 0, right = 0;
      for (std::int64_t t = 0; t < batch.labels_BT.size(1); ++t) {
        if (*label++ == no_label) continue;
        ++asked;
        right += *correct++;
        sums.nll += *nll++;
      }
      sums.accuracies.push_back(static_cast<double>(right) / static_cast<double>(asked));
      sums.labels += asked;
    }
  }

  std::vector<Score> scores() const override {
    std::vector<Score> list;
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      const SequenceSize& size = (is_test_ ? task_.sequences().asked : task_.sequences().trained)[i];
      const Sums& sums = sums_[i];
      const auto n = static_cast<double>(sums.accuracies.size());
      const double mean = std::accumulate(sums.accuracies.begin(), sums.accuracies.end(), 0.0) / n;
      double squares = 0;
      for (const double accuracy : sums.accuracies) squares += (accuracy - mean) * (accuracy - mean);
      Score score{.task = task_.sequences().task,
                  .metric = "accuracy",
                  .length = is_test_ ? size.length : task_.longest(),
                  .n = static_cast<std::int64_t>(sums.accuracies.size()),
                  .value = mean,
                  .stderr_value = n > 1 ? std::sqrt(squares / (n - 1) / n) : 0,
                  .settings_json = size.settings_json};
      for (std::size_t item = 0; is_test_ && item < sums.accuracies.size(); ++item)
        score.items.push_back({.item = static_cast<std::int64_t>(item), .value = sums.accuracies[item]});
      list.push_back(score);
      score.metric = "loss";
      score.n = sums.labels;
      score.value = sums.nll / static_cast<double>(sums.labels);
      score.stderr_value.reset();
      score.items.clear();
      list.push_back(score);
    }
    return list;
  }

 private:
  const SequenceTask& task_;
  bool is_test_;
  std::vector<Sums> sums_;  // one a size; of validation one for all
  std::size_t size_ = 0;
  std::int64_t done_ = 0;  // sequences of the size
};

std::unique_ptr<Evaluation> SequenceTask::evaluation(Split split) const {
  if (asks_items(split)) return nullptr;
  return std::make_unique<SequenceEvaluation>(*this, split == Split::test);
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
