#include "run/cards.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mdnlab {
namespace {

using testing::HasSubstr;

constexpr std::int64_t gib = std::int64_t{1} << 30;

TEST(Cards, RatesAreThoseOfTheModelThatTheDriverNames) {
  EXPECT_EQ(dense_bf16_flops("NVIDIA H200"), 989.4e12);
  EXPECT_EQ(dense_bf16_flops("NVIDIA H100 80GB HBM3"), 989.4e12);
  EXPECT_EQ(dense_bf16_flops("NVIDIA H100 PCIe"), 756e12);
  EXPECT_EQ(dense_bf16_flops("NVIDIA A100-SXM4-40GB"), 312e12);
  EXPECT_EQ(dense_bf16_flops("NVIDIA GeForce RTX 2080"), std::nullopt);
}

TEST(Cards, HoldWhatIsBelowTheirMemoryAndElseShare) {
  EXPECT_EQ(cards_text({.kept_bytes = 6 * gib, .peak_bytes = 30 * gib}),
            "one H100 (79 GiB) or H200 (140 GiB)");
  EXPECT_EQ(cards_text({.kept_bytes = 20 * gib, .peak_bytes = 100 * gib}), "one H200 (140 GiB)");
  // 77 and 138 GiB are for use, 20 of them for the batch: 130 over 57 or 118.
  EXPECT_EQ(cards_text({.kept_bytes = 130 * gib, .peak_bytes = 150 * gib}),
            "no single one, but 3 H100 (79 GiB) or 2 H200 (140 GiB) that share parameters, "
            "gradients and moments");
  EXPECT_THAT(cards_text({.kept_bytes = 10 * gib, .peak_bytes = 200 * gib}),
              HasSubstr("lower train.batch_size"));
}

}  // namespace
}  // namespace mdnlab
