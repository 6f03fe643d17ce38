// The table of compiled kernels: what fits, and what is said where nothing does.
#include <gmock/gmock.h>

#include <set>
#include <string>

#include "scan/cuda/table.h"

namespace mdnlab::scan {

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

KernelQuery query_of(const KernelRow& row, bool or_delta = false) {
  return {.has_delta = row.has_delta.value_or(or_delta),
          .has_momentum = row.has_momentum,
          .has_channel_decay = row.has_channel_decay,
          .K = row.key_width,
          .V = row.value_step,
          .dtype = row.dtype,
          .capability = row.capability};
}

TEST(KernelTable, FindsEachOfItsRowsAndNamesItOnce) {
  std::set<std::string> names;
  for (const KernelRow& row : kernel_table()) {
    ASSERT_NE(find_kernel(query_of(row)), nullptr) << row.name;
    EXPECT_STREQ(find_kernel(query_of(row))->name, row.name);
    EXPECT_EQ(refusal(query_of(row)), "");
    names.insert(row.name);
  }
  EXPECT_EQ(names.size(), kernel_table().size());
}

TEST(KernelTable, HasEachKernelInBf16AndInF16) {
  for (const KernelRow& row : kernel_table()) {
    KernelQuery query = query_of(row);
    for (const auto dtype : {c10::ScalarType::BFloat16, c10::ScalarType::Half}) {
      query.dtype = dtype;
      EXPECT_NE(find_kernel(query), nullptr) << row.name;
    }
  }
}

TEST(KernelTable, HasOneRowWhereDeltaAndNoDeltaRunTheSameCode) {
  int shared = 0;
  for (const KernelRow& row : kernel_table()) {
    EXPECT_EQ(row.has_delta.has_value(), !row.has_channel_decay) << row.name;
    EXPECT_EQ(find_kernel(query_of(row, true)), find_kernel(query_of(row, false))) << row.name;
    shared += !row.has_delta;
  }
  EXPECT_EQ(shared, 2 * 2 * 3) << "dtypes, with and without momentum, widths";
}

TEST(KernelTable, TakesTheSameWidthsWithEitherDecay) {
  for (const KernelRow& row : kernel_table()) {
    KernelQuery query = query_of(row);
    query.has_channel_decay = !row.has_channel_decay;
    EXPECT_NE(find_kernel(query), nullptr) << row.name;
  }
}

TEST(KernelTable, SaysWhatDoesNotFitAndWhatWould) {
  const KernelQuery mdn{.has_delta = true, .has_momentum = true, .K = 128, .V = 256, .capability = 90};
  const auto refusal_with = [&](auto change) {
    KernelQuery query = mdn;
    change(query);
    EXPECT_EQ(find_kernel(query), nullptr);
    return refusal(query);
  };
  EXPECT_EQ(refusal(mdn), "");
  EXPECT_THAT(refusal_with([](KernelQuery& q) { q.K = 96; }),
              AllOf(StartsWith("K is 96, and it takes "), HasSubstr("64; 128")));
  EXPECT_EQ(refusal_with([](KernelQuery& q) {
              q.has_channel_decay = true;
              q.K = 512;
            }),
            "K is 512, and it takes 64; 128; 256");
  EXPECT_THAT(refusal_with([](KernelQuery& q) { q.V = 100; }),
              StartsWith("V is 100, and it takes multiples of 64"));
  EXPECT_THAT(refusal_with([](KernelQuery& q) { q.V = 0; }), StartsWith("V is 0"));
  EXPECT_EQ(refusal_with([](KernelQuery& q) { q.dtype = c10::ScalarType::Double; }),
            "the dtype of q is f64, and it takes bf16; f16");
  EXPECT_EQ(refusal_with([](KernelQuery& q) { q.capability = 80; }),
            "the GPU's compute capability is 8.0, and it takes 9.0");
}

}  // namespace

}  // namespace mdnlab::scan
