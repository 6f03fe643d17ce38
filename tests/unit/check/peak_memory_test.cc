#include "check/peak_memory.h"

#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

namespace mdnlab {
namespace {

constexpr std::int64_t kBytes = 1 << 20;

at::Tensor megabyte() { return at::empty({kBytes}, at::TensorOptions().dtype(at::kByte)); }

TEST(PeakMemory, IsTheMostHeldAtOnce) {
  const at::Tensor before = megabyte();
  const PeakMemory memory;
  EXPECT_EQ(memory.bytes(), 0);
  { const at::Tensor first = megabyte(), second = megabyte(); }
  const at::Tensor third = megabyte();
  EXPECT_EQ(memory.bytes(), 2 * kBytes);
}

TEST(PeakMemory, EndsWithItsScope) {
  {
    const PeakMemory memory;
    EXPECT_EQ(memory.bytes(), 0);
  }
  const PeakMemory second;
  const at::Tensor tensor = megabyte();
  EXPECT_EQ(second.bytes(), kBytes);
}

}  // namespace
}  // namespace mdnlab
