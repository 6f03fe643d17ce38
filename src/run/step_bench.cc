#include "run/step_bench.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/random.h"
#include "config/yaml.h"
#include "train/options.h"
#include "train/trainer.h"

namespace mdnlab {

namespace {

constexpr std::int64_t vocabulary = 256;

// Every position has a label, as in text.
class RandomTokens final : public Task {
 public:
  explicit RandomTokens(std::int64_t seq_len) : seq_len_(seq_len) {}

  std::int64_t vocab_size() const override { return vocabulary; }
  std::string data_digest() const override { return {}; }
  Batch training(std::int64_t first, std::int64_t count) const override {
    Batch batch{at::empty({count, seq_len_}, at::kLong), at::empty({count, seq_len_}, at::kLong), {}};
    Random random{static_cast<std::uint64_t>(first)};
    for (std::int64_t i = 0; i < count * seq_len_; ++i) {
      batch.tokens_BT.data_ptr<std::int64_t>()[i] = static_cast<std::int64_t>(random.below(vocabulary));
      batch.labels_BT.data_ptr<std::int64_t>()[i] = static_cast<std::int64_t>(random.below(vocabulary));
    }
    return batch;
  }
  std::unique_ptr<Evaluation> evaluation(Split) const override { return nullptr; }

 private:
  std::int64_t seq_len_;
};

struct Candidate {
  Candidate(const Node& root, const Plugins& plugins, const Task& task)
      : options(read_train(*root.find("train"))),
        model(read_model(root, plugins), plugins, vocabulary, at::kFloat, 0),
        trainer(model, task, options, {}, {}) {}

  Params options;
  LanguageModel model;
  Trainer trainer;
  std::vector<double> times_ms;
};

}  // namespace

std::vector<StepTiming> time_training_steps(std::span<const std::string> rules, const Plugins& plugins,
                                            const StepShape& shape) {
  at::set_num_threads(static_cast<int>(shape.threads));
  at::globalContext().setFlushDenormal(true);
  const RandomTokens task(shape.tokens);
  std::vector<std::unique_ptr<Candidate>> candidates;
  for (const std::string& rule : rules) {
    const Node root =
        parse_yaml(fmt::format("rule: {}\nmodel: {{hidden_size: {}, num_hidden_layers: {}, num_heads: {}}}\n"
                               "train: {{batch_size: {}, seq_len: {}, steps: 1000000}}\n",
                               rule, shape.hidden_size, shape.num_hidden_layers, shape.num_heads, shape.batch,
                               shape.tokens),
                   "bench");
    candidates.push_back(std::make_unique<Candidate>(root, plugins, task));
  }
  for (int sample = -1; sample < shape.samples; ++sample) {
    for (const auto& candidate : candidates) {
      const auto begin = std::chrono::steady_clock::now();
      candidate->trainer.step();
      const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - begin;
      if (sample >= 0) candidate->times_ms.push_back(elapsed.count());
    }
  }
  std::vector<StepTiming> timings;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    std::vector<double>& times = candidates[i]->times_ms;
    std::ranges::sort(times);
    timings.push_back(
        {rules[i], times[times.size() / 2], times[times.size() * 3 / 4] - times[times.size() / 4]});
  }
  return timings;
}

}  // namespace mdnlab
