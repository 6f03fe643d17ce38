// A small task whose batches weigh differently.
#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include "base/random.h"
#include "task/task.h"

namespace mdnlab {

// Row i has i mod 7 + 1 labels, so batches of a step weigh differently; a label follows from its token.
class UnevenLabels final : public Task {
 public:
  std::int64_t vocab_size() const override { return 16; }
  std::string data_digest() const override { return {}; }
  Batch training(std::int64_t first, std::int64_t count) const override {
    Batch batch{at::empty({count, 12}, at::kLong), at::full({count, 12}, no_label, at::kLong), {}};
    for (std::int64_t row = 0; row < count; ++row) {
      Random random{static_cast<std::uint64_t>(first + row)};
      for (std::int64_t t = 0; t < 12; ++t) {
        const auto token = static_cast<std::int64_t>(random.below(16));
        batch.tokens_BT.data_ptr<std::int64_t>()[row * 12 + t] = token;
        if (t <= (first + row) % 7) batch.labels_BT.data_ptr<std::int64_t>()[row * 12 + t] = (token + 3) % 16;
      }
    }
    return batch;
  }
  std::unique_ptr<Evaluation> evaluation(Split) const override { return nullptr; }
};

}  // namespace mdnlab
