// The kernel of a product of few rows that is added to what is there, on the CPU.
#include "decode_reference.h"
#include "ops/cuda/few_rows_sum.cu"

namespace mdnlab::ops::cuda {
namespace {

TEST(FewRowsSumKernel, SaysWhatASumInDoubleSays) {
  for (const auto& [R, K, N] : {std::tuple{1, 256, 72},
                                {1, 96, 8},
                                {1, 1536, 24},
                                {3, 1056, 70},
                                {7, 352, 72},
                                {8, 1024, 72},
                                {8, 2080, 72},
                                {8, 3104, 40},
                                {2, 6400, 9},
                                {9, 256, 72},
                                {13, 1056, 72},
                                {15, 2080, 72},
                                {16, 2816, 33},
                                {16, 3200, 8}})
    check_product(few_rows_sum, 6, R, K, false, {{RowsOutput::add, N}});
}

}  // namespace
}  // namespace mdnlab::ops::cuda
