// The kernel of a product of many rows, on the CPU.
#include "decode_reference.h"
#include "ops/cuda/rows_product.cu"

namespace mdnlab::ops::cuda {
namespace {

void check(int R, int K, const std::vector<std::pair<RowsOutput, int>>& parts) {
  Arrays arrays(static_cast<unsigned>(R + K));
  RowsProduct in{.R = R, .K = K};
  const __nv_bfloat16* const x = arrays.halves(R * K, 1);
  for (const auto& [output, N] : parts) {
    const bool is_half = output == RowsOutput::store || output == RowsOutput::swiglu;
    void* const y =
        is_half ? static_cast<void*>(arrays.halves(R * N, 1, "bf16")) : arrays.floats(R * N, 1, "float32");
    RowsPart& part = add_part(arrays, in, output, N, y);
    part.x = x;
    if (output == RowsOutput::convolve && N % 16 == 0) add_taps(arrays, part, R, N % 32 == 0 ? 4 : 2);
    if (output == RowsOutput::store && N % 2 == 1) part.bias = arrays.floats(N, 1);
  }
  arrays.copy();
  expect_product(arrays, in);
  ASSERT_EQ(rows_product(in, 6, nullptr), cudaSuccess);
  arrays.expect_equal(2e-3, std::to_string(R) + " rows, K " + std::to_string(K));
}

TEST(RowsKernel, SaysWhatASumInDoubleSays) {
  using enum RowsOutput;
  for (const auto& [R, K] : {std::pair{9, 256}, {9, 4352}, {70, 1056}}) {
    check(R, K, {{convolve, 64}, {convolve, 48}, {convolve, 40}, {store, 2}, {store, 3}, {store, 66}});
    check(R, K, {{swiglu, 70}});
    check(R, K, {{add, 72}});
    check(R, K, {{widen, 101}});
  }
  check(33, 1024, {{add, 64}});
  check(40, 512, {{swiglu, 33}});
}

}  // namespace
}  // namespace mdnlab::ops::cuda
