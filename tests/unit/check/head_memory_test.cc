// The loss never holds tokens × vocabulary logits, nor does its gradient.
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "check/peak_memory.h"
#include "ops/cross_entropy.h"

namespace mdnlab::check {
namespace {

TEST(HeadMemory, IsThatOfAChunkAndOfTheGradients) {
  constexpr std::int64_t D = 8, V = 1021, kChunkBytes = 16 * V * 4;
  for (const std::int64_t tokens : {256, 2048}) {
    const at::Tensor hidden = at::randn({tokens, D}).requires_grad_(true),
                     weight = at::randn({V, D}).requires_grad_(true),
                     labels = at::randint(V, {tokens}, at::kLong);
    const PeakMemory memory;
    ops::linear_cross_entropy(hidden, weight, labels, 1, kChunkBytes).backward();
    const auto lasting = static_cast<std::int64_t>(hidden.nbytes() + weight.nbytes()) + tokens * 16;
    EXPECT_GT(memory.bytes(), lasting);
    EXPECT_LT(memory.bytes(), lasting + 3 * kChunkBytes) << tokens;
  }
}

}  // namespace
}  // namespace mdnlab::check
