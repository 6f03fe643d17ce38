// The kernel of the largest number of each row, on the CPU.
#include "decode_reference.h"
#include "ops/cuda/largest.cu"

namespace mdnlab::ops::cuda {
namespace {

TEST(LargestKernel, IsTheFirstOfTheLargest) {
  for (const auto& [R, N, stride] : {std::tuple{3, 5, 8}, {2, 257, 260}, {2, 9001, 9004}}) {
    Arrays arrays(static_cast<unsigned>(N));
    float* const x = arrays.floats(static_cast<int>(R * stride), 1);
    for (int r = 0; r < R; ++r) {
      for (int n = N; n < stride; ++n) x[r * stride + n] = 100;  // behind the row
      const int at = (37 * r + N / 2) % (N - 1);
      x[r * stride + at] = x[r * stride + N - 1] = 50;
    }
    x[(R - 1) * stride + 1] = NAN;
    std::vector<long long> found(static_cast<std::size_t>(R), -1);
    ASSERT_EQ(largest_of_rows(x, R, N, stride, found.data(), nullptr), cudaSuccess);
    for (int r = 0; r < R; ++r)
      EXPECT_EQ(found[static_cast<std::size_t>(r)], r == R - 1 ? 1 : (37 * r + N / 2) % (N - 1)) << N;
  }
}

}  // namespace
}  // namespace mdnlab::ops::cuda
