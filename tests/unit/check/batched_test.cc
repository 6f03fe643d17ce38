// The conformance suite on the scan's implementation for any device, which no rule uses on the processor.
#include <gmock/gmock.h>

#include "check/peak_memory.h"
#include "check/recurrence.h"
#include "check/recurrence_inputs.h"

namespace mdnlab::check {
namespace {

class BatchedCells : public testing::TestWithParam<std::tuple<bool, bool, Decay>> {};

TEST_P(BatchedCells, PassesEveryCase) {
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

INSTANTIATE_TEST_SUITE_P(Cells, BatchedCells,
                         testing::Combine(testing::Bool(), testing::Bool(),
                                          testing::Values(Decay::none, Decay::scalar, Decay::channel)));

std::int64_t peak_bytes(const Recurrence& recurrence, std::int64_t T) {
  const scan::Inputs in =
      as(make_inputs(recurrence, {.B = 1, .T = T, .K = 16, .V = 16, .neutral = true}, 1), at::kFloat);
  const PeakMemory memory;
  results(
      [](const scan::Inputs& leaves) {
        return scan::chunk(leaves, {.chunk_size = 16, .want_state = true, .implementation = "batched"});
      },
      in, 1);
  return memory.bytes();
}

TEST(BatchedScan, MemoryGrowsLinearlyInTime) {
  for (const Decay decay : {Decay::scalar, Decay::channel}) {
    const std::int64_t once = peak_bytes({true, true, decay}, 512),
                       twice = peak_bytes({true, true, decay}, 1024);
    EXPECT_GT(twice, 1.5 * once);
    EXPECT_LT(twice, 2.1 * once);
  }
}

}  // namespace
}  // namespace mdnlab::check
