// Multi-query associative recall: D key–value pairs, then each key again somewhere in what follows; the model
// names its value there. Keys and values are drawn without replacement from {1 … V/2−1} and {V/2 … V−1}. With
// space = (L − 2D)/2 slots, D different slots x ∈ 1…space are drawn without replacement with weights ∝
// a·x^(a−1); the query of a slot stands at 2D + 2(x−1) and its label at the same position. Everything else is
// filler.
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "task/tasks.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {
    {.name = "vocabulary",
     .type = Type::integer,
     .preset = "8192",
     .doc = "V: keys are below V/2, values above",
     .least = 4},
    {.name = "pairs",
     .type = Type::integer,
     .preset = "8",
     .doc = "D: key–value pairs in a sequence",
     .least = 1},
    {.name = "length",
     .type = Type::integer,
     .preset = nullptr,
     .doc = "L: tokens of a sequence; train.seq_len when unset",
     .least = 4},
    {.name = "power",
     .type = Type::real,
     .preset = "0.01",
     .doc = "a: small values put queries close to the pairs",
     .least = 1e-6,
     .most = 1},
    {.name = "filler",
     .type = Type::text,
     .preset = "reserved",
     .doc =
         "zero: id 0; reserved: 64 further ids V…V+63 at random; random: ids of the whole vocabulary at random, live keys among them",
     .choices = "zero|reserved|random"},
    {.name = "train_examples",
     .type = Type::integer,
     .preset = "100000",
     .doc = "different training sequences; then they repeat",
     .least = 1},
    {.name = "test_examples",
     .type = Type::integer,
     .preset = "1000",
     .doc = "sequences of each evaluation",
     .least = 1}};

constexpr std::int64_t reserved_fillers = 64;

class Mqar final : public Task {
 public:
  Mqar(const Params& options, const TaskContext& context)
      : vocabulary_(options.integer("vocabulary")),
        pairs_(options.integer("pairs")),
        length_(options.is_set("length") ? options.integer("length") : context.seq_len),
        filler_(options.text("filler")),
        power_(options.real("power")),
        train_examples_(options.integer("train_examples")),
        test_examples_(options.integer("test_examples")),
        seed_(context.seed) {
    const std::int64_t slots = (length_ - 2 * pairs_) / 2;
    if (slots < pairs_) {
      throw options.error("pairs",
                          fmt::format("{} pairs and their queries do not fit in {} tokens", pairs_, length_),
                          fmt::format("at most {}", length_ / 4));
    }
    if (pairs_ > vocabulary_ / 2 - 1) {
      throw options.error("pairs",
                          fmt::format("a vocabulary of {} has {} keys", vocabulary_, vocabulary_ / 2 - 1),
                          fmt::format("at most {} pairs", vocabulary_ / 2 - 1));
    }
  }

  std::int64_t vocab_size() const override {
    return filler_ == "reserved" ? vocabulary_ + reserved_fillers : vocabulary_;
  }
  std::string data_digest() const override { return {}; }

  Batch training(std::int64_t first, std::int64_t count) const override {
    std::vector<std::int64_t> indices(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i)
      indices[static_cast<std::size_t>(i)] = (first + i) % train_examples_;
    return batch(indices, Split::train);
  }

  std::unique_ptr<Evaluation> evaluation(Split split) const override;

  std::int64_t length() const { return length_; }
  std::int64_t test_examples() const { return test_examples_; }

  Batch batch(std::span<const std::int64_t> indices, Split split) const {
    const auto rows = static_cast<std::int64_t>(indices.size());
    Batch batch{at::zeros({rows, length_}, at::kLong), at::full({rows, length_}, no_label, at::kLong), {}};
    for (std::int64_t row = 0; row < rows; ++row) {
      write_sequence(static_cast<std::uint64_t>(indices[static_cast<std::size_t>(row)]), split,
                     batch.tokens_BT.data_ptr<std::int64_t>() + row * length_,
                     batch.labels_BT.data_ptr<std::int64_t>() + row * length_);
    }
    return batch;
  }

  std::string settings_json() const {
    const std::int64_t values = vocabulary_ - vocabulary_ / 2;
    return fmt::format(R"({{"pairs":{},"vocabulary":{},"power":{},"filler":"{}","seed":{},"chance":{}}})",
                       pairs_, vocabulary_, power_, filler_, seed_, 1.0 / static_cast<double>(values));
  }

 private:
  // The splits draw from streams of their own, so no test sequence is a training sequence but by chance.
  void write_sequence(std::uint64_t index, Split split, std::int64_t* tokens, std::int64_t* labels) const {
    Random random{seed_, 0x6d716172 /* the task's streams */, static_cast<std::uint64_t>(split), index};
    if (filler_ != "zero") {
      const std::int64_t lowest = filler_ == "reserved" ? vocabulary_ : 0;
      const auto choices = static_cast<std::uint64_t>(filler_ == "reserved" ? reserved_fillers : vocabulary_);
      for (std::int64_t t = 2 * pairs_; t < length_; ++t)
        tokens[t] = lowest + static_cast<std::int64_t>(random.below(choices));
    }
    const std::vector<std::int64_t> keys = random.sample(vocabulary_ / 2 - 1, pairs_);
    const std::vector<std::int64_t> values = random.sample(vocabulary_ - vocabulary_ / 2, pairs_);
    const std::vector<std::int64_t> slots = draw_slots(random);
    for (std::int64_t i = 0; i < pairs_; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const std::int64_t key = 1 + keys[at], value = vocabulary_ / 2 + values[at];
      const std::int64_t query = 2 * pairs_ + 2 * slots[at];
      tokens[2 * i] = key;
      tokens[2 * i + 1] = value;
      tokens[query] = key;
      labels[query] = value;
    }
  }

  // Weighted drawing without replacement: the D smallest of −ln(u)/weight, in order (exponential races).
  std::vector<std::int64_t> draw_slots(Random& random) const {
    const auto space = static_cast<std::size_t>((length_ - 2 * pairs_) / 2);
    std::vector<double> arrival(space);
    for (std::size_t x = 0; x < space; ++x) {
      const double weight = power_ * std::pow(static_cast<double>(x + 1), power_ - 1);
      arrival[x] = -std::log1p(-random.uniform()) / weight;
    }
    std::vector<std::int64_t> slots(space);
    std::iota(slots.begin(), slots.end(), 0);
    std::ranges::partial_sort(slots, slots.begin() + pairs_, {},
                              [&](std::int64_t x) { return arrival[static_cast<std::size_t>(x)]; });
    slots.resize(static_cast<std::size_t>(pairs_));
    return slots;
  }

  std::int64_t vocabulary_, pairs_, length_;
  std::string filler_;
  double power_;
  std::int64_t train_examples_, test_examples_;
  std::uint64_t seed_;
};

// Accuracy is the mean over sequences of each one's accuracy; every sequence has D labels, one after another.
class MqarEvaluation final : public Evaluation {
 public:
  MqarEvaluation(const Mqar& task, Split split) : task_(task), split_(split) {}

  std::optional<Batch> next(std::int64_t most_tokens) override {
    const std::int64_t rows =
        std::min(std::max<std::int64_t>(1, most_tokens / task_.length()), task_.test_examples() - done_);
    if (rows == 0) return std::nullopt;
    std::vector<std::int64_t> indices(static_cast<std::size_t>(rows));
    std::iota(indices.begin(), indices.end(), done_);
    done_ += rows;
    return task_.batch(indices, split_);
  }

  void add(const Batch& batch, const Predictions& predictions) override {
    const std::int64_t rows = batch.tokens_BT.size(0);
    const at::Tensor accuracy = predictions.correct.view({rows, -1}).to(at::kDouble).mean(1).contiguous();
    for (std::int64_t row = 0; row < rows; ++row) {
      const double value = accuracy.data_ptr<double>()[row];
      sum_ += value;
      squares_ += value * value;
    }
    nll_ += predictions.nll.sum().item<double>();
    labels_ += predictions.nll.numel();
  }

  std::vector<Score> scores() const override {
    const auto n = static_cast<double>(done_);
    const double mean = sum_ / n;
    const double variance = done_ > 1 ? std::max(0.0, squares_ / n - mean * mean) * n / (n - 1) : 0;
    const Score accuracy{.task = "mqar",
                         .metric = "accuracy",
                         .length = task_.length(),
                         .n = done_,
                         .value = mean,
                         .stderr_value = std::sqrt(variance / n),
                         .settings_json = task_.settings_json()};
    Score loss = accuracy;
    loss.metric = "loss";
    loss.n = labels_;
    loss.value = nll_ / static_cast<double>(labels_);
    loss.stderr_value.reset();
    return {accuracy, loss};
  }

 private:
  const Mqar& task_;
  Split split_;
  std::int64_t done_ = 0, labels_ = 0;
  double sum_ = 0, squares_ = 0, nll_ = 0;
};

std::unique_ptr<Evaluation> Mqar::evaluation(Split split) const {
  return std::make_unique<MqarEvaluation>(*this, split);
}

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  return std::make_unique<Mqar>(options, context);
}

}  // namespace

const TaskKind mqar_task{"mqar", 1,      "multi-query associative recall: name the value of each key again",
                         false,  fields, make};

}  // namespace mdnlab
