#include "check/poisoned_memory.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace mdnlab::check {
namespace {

TEST(PoisonedMemory, IsNaNUntilItIsWritten) {
  at::Tensor kept;
  {
    const PoisonedMemory poisoned;
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16})
      EXPECT_TRUE(at::empty({1000}, dtype).isnan().all().item<bool>());
    EXPECT_EQ(at::zeros({1000}).abs().max().item<float>(), 0);
    kept = at::empty({8});
  }
  EXPECT_TRUE(kept.isnan().all().item<bool>());  // outlives the guard
  kept = at::Tensor();
  const PoisonedMemory again;
  EXPECT_TRUE(at::empty({8}).isnan().all().item<bool>());
}

TEST(PoisonedMemory, EndsWithItsGuard) {
  { const PoisonedMemory poisoned; }
  bool all_poisoned = true;
  for (int i = 0; i < 100; ++i) {
    at::zeros({4096});  // leaves zeros where the next block is likely to lie
    all_poisoned = all_poisoned && at::empty({4096}).isnan().all().item<bool>();
  }
  EXPECT_FALSE(all_poisoned);
}

}  // namespace
}  // namespace mdnlab::check
