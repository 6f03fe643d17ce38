// The kernel of a product of many rows, on the CPU.
#include "decode_reference.h"
#include "ops/cuda/many_rows_product.cu"

namespace mdnlab::ops::cuda {
namespace {

void check(int R, int K, const std::vector<GivenPart>& parts) {
  check_product(many_rows_product, 6, R, K, false, parts);
}

TEST(ManyRowsKernel, SaysWhatASumInDoubleSays) {
  using enum RowsOutput;
  for (const auto& [R, K] : {std::pair{9, 256}, {9, 4352}, {70, 1056}}) {
    check(R, K, {{convolve, 64}, {convolve, 48}, {convolve, 40}, {store, 2}, {store, 3}, {store, 66}});
    check(R, K, {{swiglu, 70}});
    check(R, K, {{add, 72}});
    check(R, K, {{widen, 101}});
  }
  check(33, 1024, {{add, 64}});
  check(40, 512, {{swiglu, 33}});
  check(17, 2816, {{add, 50}});
}

TEST(ManyRowsKernel, TakesWeightsOfSeveralX) {
  using enum RowsOutput;
  check(20, 96, {{store, 40, true}, {store, 33, true}, {store, 8}});
}

// Slots are filled again while others are worked on.
TEST(ManyRowsKernel, TakesMoreThanIsFetchedAtOnce) {
  using enum RowsOutput;
  check(18, 1024, {{widen, 1500}});
  check(10, 6144, {{swiglu, 100}});
}

}  // namespace
}  // namespace mdnlab::ops::cuda
