#include "run/progress_line.h"

#include <gtest/gtest.h>

#include <vector>

namespace mdnlab {
namespace {

RunProgress run(std::int64_t number, std::int64_t step, double loss, const std::string& device = "") {
  return {.number = number,
          .name = "rule=" + std::to_string(number),
          .device = device,
          .step = step,
          .steps = 200,
          .loss = loss,
          .tokens_per_second = 7000};
}

TEST(ProgressLine, NamesFewRunsOneByOne) {
  EXPECT_EQ(progress_line(std::vector{run(3, 20, 2.5)}, 12, 41),
            "run 3 of 12  step 20/200  loss 2.500  7,000 tokens/s  ETA 41s  rule=3");
  EXPECT_EQ(
      progress_line(std::vector{run(3, 20, 2.5, "cuda:0"), run(5, 10, 3, "cuda:1")}, 12, 192),
      "run 3+5 of 12 on cuda:0+cuda:1  step 20/200+10/200  loss 2.500+3.000  14,000 tokens/s  ETA 3m12s  "
      "rule=3 + rule=5");
}

TEST(ProgressLine, TellsTheRangeOfMany) {
  std::vector<RunProgress> runs;
  for (int i = 1; i <= 16; ++i) runs.push_back(run(i, 10 * i, 1 + 0.1 * i, "cuda:" + std::to_string(i % 8)));
  EXPECT_EQ(progress_line(runs, 40, 192),
            "16 runs of 40  step 5% to 80%  loss 1.100 to 2.600  112,000 tokens/s  ETA 3m12s");
}

TEST(ProgressLine, CountsSkippedSteps) {
  std::vector<RunProgress> runs{run(1, 20, 2.5), run(2, 20, 2.5)};
  runs[0].skipped = 2;
  runs[1].skipped = 1;
  EXPECT_EQ(
      progress_line(runs, 2, 41),
      "run 1+2 of 2  step 20/200+20/200  loss 2.500+2.500  skipped 3  14,000 tokens/s  ETA 41s  rule=1 + "
      "rule=2");
}

}  // namespace
}  // namespace mdnlab
