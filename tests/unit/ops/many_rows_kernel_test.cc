// The kernel of a product of many rows, on the CPU.
#include "decode_reference.h"
#include "ops/cuda/many_rows_product.cu"

namespace mdnlab::ops::cuda {
namespace {

// On a GPU of so many multiprocessors.
void check(int R, int K, const std::vector<GivenPart>& parts, int multiprocessors = 6) {
  check_product(many_rows_product, multiprocessors, R, K, false, parts);
}

TEST(ManyRowsKernel, SaysWhatASumInDoubleSays) {
  using enum RowsOutput;
  for (const auto& [R, K] : {std::pair{9, 256}, {9, 4352}, {20, 2112}, {70, 1088}}) {
    check(R, K, {{convolve, 64}, {convolve, 48}, {convolve, 40}, {store, 2}, {store, 3}, {store, 66}});
    check(R, K, {{swiglu, 70}});
    check(R, K, {{add, 72}});
    check(R, K, {{widen, 101}});
  }
  check(33, 1024, {{add, 64}});
  check(40, 512, {{swiglu, 33}});
  check(17, 2816, {{add, 50}});
}

TEST(ManyRowsKernel, TakesTilesOfAnySize) {
  using enum RowsOutput;
  for (const int R : {12, 130}) {
    for (const int multiprocessors : {4, 8, 16, 36}) {
      check(R, 192, {{store, 130}, {convolve, 128}}, multiprocessors);
      check(R, 192, {{swiglu, 130}}, multiprocessors);
      check(R, 640, {{add, 72}}, multiprocessors);
    }
  }
}

TEST(ManyRowsKernel, AddsToRowsOfAnyWidth) {
  for (const int R : {17, 33, 64, 77})
    for (const int multiprocessors : {4, 8, 16, 36})
      check(R, 640, {{RowsOutput::add, 192}}, multiprocessors);
}

TEST(ManyRowsKernel, TakesWeightsOfSeveralX) {
  using enum RowsOutput;
  check(20, 64, {{store, 40, true}, {store, 33, true}, {store, 8}});
}

// Slots are filled again while others are worked on.
TEST(ManyRowsKernel, TakesMoreThanIsFetchedAtOnce) {
  using enum RowsOutput;
  check(18, 1024, {{widen, 1500}});
  check(64, 256, {{widen, 1501, false, 3}});
  check(70, 256, {{widen, 1501, false, 3}});
  check(10, 6144, {{swiglu, 100}});
}

}  // namespace
}  // namespace mdnlab::ops::cuda
