// The kernel of a product of few rows, on the CPU.
#include "decode_reference.h"
#include "ops/cuda/few_rows_product.cu"

namespace mdnlab::ops::cuda {
namespace {

void check(int R, int K, bool is_normed, const std::vector<GivenPart>& parts) {
  check_product(few_rows_product, 6, R, K, is_normed, parts);
}

TEST(FewRowsKernel, SaysWhatASumInDoubleSays) {
  using enum RowsOutput;
  for (const auto& [R, K, is_normed] : {std::tuple{1, 256, true},
                                        {8, 1024, true},
                                        {3, 1056, true},
                                        {7, 352, false},
                                        {8, 2080, false},
                                        {9, 256, true},
                                        {16, 1024, true},
                                        {13, 1056, false},
                                        {15, 2080, false}}) {
    check(R, K, is_normed,
          {{convolve, 64}, {convolve, 48}, {convolve, 40}, {store, 2}, {store, 3}, {store, 66}});
    check(R, K, is_normed, {{swiglu, 70}});
    check(R, K, is_normed, {{widen, 101}});
  }
}

TEST(FewRowsKernel, TakesWeightsOfSeveralX) {
  using enum RowsOutput;
  for (const bool is_normed : {false, true})
    check(5, 128, is_normed, {{store, 40, true}, {store, 33, true}, {store, 8, !is_normed}});
}

TEST(FewRowsKernel, TakesMoreThanIsFetchedAtOnce) {
  using enum RowsOutput;
  check(1, 512, true, {{widen, 700}});
  check(5, 512, true, {{widen, 701, false, 3}});
  check(8, 1024, false, {{store, 300}, {store, 200}});
  check(2, 2048, true, {{swiglu, 90}});
  check(3, 6144, false, {{swiglu, 50}, {swiglu, 60}});
  check(11, 512, true, {{widen, 700}});
  check(14, 4096, false, {{swiglu, 50}});
}

}  // namespace
}  // namespace mdnlab::ops::cuda
