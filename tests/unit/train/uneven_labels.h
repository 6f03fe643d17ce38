// A small task whose batches weigh differently.
#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include "base/random.h"
#include "task/task.h"

namespace mdnlab {

// Row i has i mod 7 + 1 labels in each twelve tokens, so batches of a step weigh differently; a label follows
// from its token.
class UnevenLabels final : public Task {
 public:
  explicit UnevenLabels(std::int64_t tokens = 12) : tokens_(tokens) {}

  std::int64_t vocab_size() const override { return 16; }
  std::string data_digest() const override { return {}; }
  Batch training(std::int64_t first, std::int64_t count) const override {
    Batch batch{at::empty({count, tokens_}, at::kLong), at::full({count, tokens_}, no_label, at::kLong), {}};
    for (std::int64_t row = 0; row < count; ++row) {
      Random random{static_cast<std::uint64_t>(first + row)};
      for (std::int64_t t = 0; t < tokens_; ++t) {
        const auto token = static_cast<std::int64_t>(random.below(16));
        batch.tokens_BT.data_ptr<std::int64_t>()[row * tokens_ + t] = token;
        if (t % 12 <= (first + row) % 7)
          batch.labels_BT.data_ptr<std::int64_t>()[row * tokens_ + t] = (token + 3) % 16;
      }
    }
    return batch;
  }
  std::unique_ptr<Evaluation> evaluation(Split) const override { return nullptr; }

 private:
  std::int64_t tokens_;
};

}  // namespace mdnlab
