// The floor of a scan, against the counts of recurrences.md by hand.
#include "check/scan_cost.h"

#include <gtest/gtest.h>

namespace mdnlab {
namespace {

constexpr auto kBf16 = c10::ScalarType::BFloat16;
constexpr ScanCell kMdn{.has_delta = true, .has_momentum = true};
constexpr ScanShape kMdn400m{8, 4096, 6, 128, 256};

TEST(ScanCost, OfTheForwardPassIsItsProductsAndItsTensors) {
  const ScanCost cost = scan_cost(kMdn, kMdn400m, kBf16, "fwd");
  // 3072 chunks of 64 tokens and a head: three products C × 2K × V, two C × C × K, two C × C × V.
  EXPECT_DOUBLE_EQ(cost.operations, 3072.0 * 2 * (3.0 * 64 * 256 * 256 + 2.0 * 64 * 64 * (128 + 256)));
  // q, k, v, o in two bytes, four gates in four.
  EXPECT_DOUBLE_EQ(cost.bytes, 32768.0 * 6 * (2 * (128 + 128 + 256 + 256) + 4 * 4));
  EXPECT_NEAR(floor_ms(cost, kBf16, "fwd"), 0.127, 0.001);
}

TEST(ScanCost, IsLinearInTheTokensAndLessWithoutDeltaMomentumAndSharedKeys) {
  for (const char* direction : {"fwd", "fwd+bwd"}) {
    const ScanCost once = scan_cost(kMdn, kMdn400m, kBf16, direction),
                   twice = scan_cost(kMdn, {8, 8192, 6, 128, 256}, kBf16, direction);
    EXPECT_DOUBLE_EQ(twice.operations, 2 * once.operations);
    EXPECT_DOUBLE_EQ(twice.bytes, 2 * once.bytes);
    EXPECT_LT(scan_cost({.has_delta = true}, kMdn400m, kBf16, direction).operations, once.operations);
    EXPECT_LT(scan_cost({.has_momentum = true}, kMdn400m, kBf16, direction).operations, once.operations);
    EXPECT_LT(scan_cost(kMdn, {8, 4096, 6, 128, 256, 1}, kBf16, direction).bytes, once.bytes);
  }
}

TEST(ScanCost, OfAStepIsItsState) {
  const ScanCost cost = scan_cost(kMdn, kMdn400m, kBf16, "step");
  EXPECT_DOUBLE_EQ(cost.bytes, 8.0 * 6 * 2 * 128 * 256 * 4 * 2);  // S and M, read and written
  EXPECT_DOUBLE_EQ(floor_ms(cost, c10::ScalarType::Float, "step"), cost.bytes / 4.3e9);
}

TEST(ScanCost, HasNoFloorForDtypesWhoseRateWasNotMeasured) {
  EXPECT_EQ(floor_ms(scan_cost(kMdn, kMdn400m, c10::ScalarType::Float, "fwd"), c10::ScalarType::Float, "fwd"),
            0);
}

}  // namespace
}  // namespace mdnlab
