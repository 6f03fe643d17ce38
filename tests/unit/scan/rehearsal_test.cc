#include "scan/rehearsal.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include "scan/chunk.h"

namespace mdnlab {
namespace {

at::Tensor meta(at::IntArrayRef sizes, at::ScalarType dtype = at::kFloat) {
  return at::empty(sizes, at::TensorOptions(at::kMeta).dtype(dtype));
}

TEST(Rehearsal, CountsWhatMetaTensorsWouldHold) {
  const at::Tensor before = meta({1000});
  const Rehearsal rehearsal(at::kCPU);
  EXPECT_EQ(rehearsal.peak_bytes(), 0);
  {
    const at::Tensor a = meta({100, 10});
    const at::Tensor view = a.narrow(0, 0, 50), on_the_cpu = at::empty({500});
    EXPECT_EQ(rehearsal.peak_bytes(), 4000);
    const at::Tensor b = a + a;
    EXPECT_EQ(rehearsal.peak_bytes(), 8000);
  }
  const at::Tensor c = meta({1000}, at::kDouble);
  EXPECT_EQ(rehearsal.peak_bytes(), 8000);
  const at::Tensor d = meta({1});
  EXPECT_EQ(rehearsal.peak_bytes(), 8004);
}

TEST(Rehearsal, StandsForOneDeviceAndEndsWithItsScope) {
  const at::Tensor x = meta({4}), on_the_cpu = at::empty({4});
  {
    const Rehearsal rehearsal(at::kCUDA);
    EXPECT_TRUE(is_as_on(at::kCUDA, x));
    EXPECT_FALSE(is_as_on(at::kCPU, x));
    EXPECT_TRUE(is_as_on(at::kCPU, on_the_cpu));
    EXPECT_THROW(Rehearsal(at::kCPU), std::logic_error);
    const at::Tensor small = meta({1});
    EXPECT_EQ(rehearsal.peak_bytes(), 512) << "LibTorch's least piece of a GPU's memory";
  }
  EXPECT_FALSE(is_as_on(at::kCUDA, x));
  const Rehearsal second(at::kCPU);
  EXPECT_TRUE(is_as_on(at::kCPU, x));
}

// (B,T,H) = (2,100,3), K = V = 64, bf16: what forward keeps besides its inputs and o.
scan::Outputs scanned() {
  const auto leaf = [](at::IntArrayRef sizes, at::ScalarType dtype) {
    return meta(sizes, dtype).set_requires_grad(true);
  };
  return scan::chunk({.q_BTGK = leaf({2, 100, 3, 64}, at::kBFloat16),
                      .k_BTGK = leaf({2, 100, 3, 64}, at::kBFloat16),
                      .v_BTHV = leaf({2, 100, 3, 64}, at::kBFloat16),
                      .log_alpha = leaf({2, 100, 3}, at::kFloat),
                      .has_delta = true});
}

TEST(Rehearsal, OfAScanOnAGpuKeepsTwoPanelsAndTheCoefficientsOfAChunk) {
  constexpr std::int64_t row = 2 * 100 * 3, chunks_and_heads = 2 * 2 * 3;
  const std::int64_t given = 3 * row * 64 * 2 + (row * 4 + 511) / 512 * 512, o = row * 64 * 2;
  const std::int64_t kept =
      chunks_and_heads * (2 * 64 * 64 * 2) + (chunks_and_heads * 1552 + 511) / 512 * 512;
  const Rehearsal rehearsal(at::kCUDA);
  const scan::Outputs out = scanned();
  EXPECT_NEAR(static_cast<double>(rehearsal.peak_bytes()), static_cast<double>(given + o + kept), 2048);
}

}  // namespace
}  // namespace mdnlab
