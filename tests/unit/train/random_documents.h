// A small task whose rows hold several documents, after a while more of them.
#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <vector>

#include "base/random.h"
#include "task/task.h"

namespace mdnlab {

// Rows of 24 tokens with 1 to 3 documents, from row 100 on up to 7, anywhere; a label follows from its token,
// and a row's first token has none.
class RandomDocuments final : public Task {
 public:
  static constexpr std::int64_t kTokens = 24;

  std::int64_t vocab_size() const override { return 16; }
  std::string data_digest() const override { return {}; }
  Batch training(std::int64_t first, std::int64_t count) const override {
    Batch batch{at::empty({count, kTokens}, at::kLong), at::full({count, kTokens}, no_label, at::kLong), {}};
    std::vector<std::int32_t> starts;
    for (std::int64_t row = 0; row < count; ++row) {
      Random random{static_cast<std::uint64_t>(first + row)};
      for (std::int64_t t = 0; t < kTokens; ++t) {
        const auto token = static_cast<std::int64_t>(random.below(16));
        batch.tokens_BT.data_ptr<std::int64_t>()[row * kTokens + t] = token;
        if (t > 0) batch.labels_BT.data_ptr<std::int64_t>()[row * kTokens + t] = (token + 3) % 16;
      }
      for (std::uint64_t more = random.below(first + row < 100 ? 3 : 7); more > 0; --more)
        starts.push_back(
            static_cast<std::int32_t>(row * kTokens + static_cast<std::int64_t>(random.below(kTokens))));
    }
    batch.documents = ops::documents(count, kTokens, std::move(starts));
    return batch;
  }
  std::unique_ptr<Evaluation> evaluation(Split) const override { return nullptr; }
};

}  // namespace mdnlab
