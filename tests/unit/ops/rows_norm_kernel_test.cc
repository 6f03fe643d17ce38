// The kernel of the norm in front of a product of many rows, on the CPU.
#include "decode_reference.h"
#include "ops/cuda/rows_norm.cu"

namespace mdnlab::ops::cuda {
namespace {

TEST(RowsNormKernel, SaysWhatTheFormulaInDoubleSays) {
  for (const auto& [R, K] : {std::pair{9, 64}, {3, 1024}, {2, 1088}, {4, 5120}}) {
    Arrays arrays(static_cast<unsigned>(R + K));
    const RowsNorm norm{.x_RK = arrays.floats(R * K, 2), .weight = arrays.floats(K, 1), .eps = 1e-5F};
    __nv_bfloat16* const y = arrays.halves(R * K, 1, "x̂");
    arrays.copy();
    for (int r = 0; r < R; ++r) {
      const std::vector<double> row = normed_row(arrays, norm, K, r, false);
      for (int k = 0; k < K; ++k)
        arrays.copied(y)[r * K + k] =
            __float2bfloat16_rn(static_cast<float>(row[static_cast<std::size_t>(k)]));
    }
    ASSERT_EQ(norm_rows(norm, R, K, y, nullptr), cudaSuccess);
    arrays.expect_equal(1e-3, "K " + std::to_string(K));
  }
}

}  // namespace
}  // namespace mdnlab::ops::cuda
