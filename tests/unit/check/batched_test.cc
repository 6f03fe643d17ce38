// The conformance suite on the scan's implementation for any device, which no rule uses on the processor.
#include <gmock/gmock.h>

#include "check/recurrence.h"

namespace mdnlab::check {
namespace {

class BatchedScan : public testing::TestWithParam<std::tuple<bool, bool, Decay>> {};

TEST_P(BatchedScan, PassesEveryCase) {
  const auto [delta, momentum, decay] = GetParam();
  const Kernel batched{.chunk =
                           [](const scan::Inputs& in, scan::Options options) {
                             options.implementation = "batched";
                             return scan::chunk(in, options);
                           },
                       .step = [](const scan::Inputs& in) { return scan::step(in, "batched"); }};
  const Verdict verdict = check_recurrence({delta, momentum, decay}, batched, 3);
  EXPECT_GT(verdict.cases().size(), 500u);
  for (const Case& found : verdict.cases()) {
    EXPECT_TRUE(found.passed) << found.name << " " << found.dtype << ": " << found.error << " > "
                              << found.tolerance << " at " << found.worst_index << " " << found.note;
  }
}

INSTANTIATE_TEST_SUITE_P(Cells, BatchedScan,
                         testing::Combine(testing::Bool(), testing::Bool(),
                                          testing::Values(Decay::none, Decay::scalar, Decay::channel)));

}  // namespace
}  // namespace mdnlab::check
