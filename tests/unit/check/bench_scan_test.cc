#include "check/bench_scan.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace mdnlab {
namespace {

using testing::ElementsAre;

ScanBench small() {
  return {.rule = "mdn",
          .cell = {.has_delta = true, .has_momentum = true},
          .shape = {.B = 2, .T = 70, .H = 2, .K = 16, .V = 8},
          .repeats = 5};
}

TEST(BenchScan, GivesOneRowADirection) {
  std::vector<std::string> directions;
  for (const BenchRow& row : bench_scan(small())) {
    directions.push_back(row.direction);
    EXPECT_EQ(row.rule, "mdn");
    EXPECT_EQ(row.dtype, "f32");
    EXPECT_GT(row.median_ms, 0);
    EXPECT_GE(row.spread_ms, 0);
    const double tokens = row.direction == "step" ? 2 : 140;
    EXPECT_NEAR(row.tokens_per_second * row.median_ms, tokens * 1e3, 1e-6 * tokens * 1e3);
  }
  EXPECT_THAT(directions, ElementsAre("fwd", "fwd+bwd", "step"));
}

TEST(BenchScan, TimesTheLoopInTheSameShape) {
  const BenchRow row = bench_loop(small());
  EXPECT_EQ(row.rule, "mdn (token loop)");
  EXPECT_EQ(row.direction, "fwd+bwd");
  EXPECT_GT(row.median_ms, 0);
}

TEST(BenchScan, PrintsTheFieldsOfABench) {
  const BenchRow row{.rule = "mdn",
                     .device = "cpu",
                     .dtype = "f32",
                     .shape = {},
                     .direction = "fwd",
                     .median_ms = 2,
                     .spread_ms = 0.5,
                     .peak_mib = 3,
                     .tokens_per_second = 512};
  EXPECT_EQ(to_json(row).dump(),
            R"({"device":"cpu","direction":"fwd","dtype":"f32","median_ms":2.0,"peak_mib":3.0,"rule":"mdn",)"
            R"("shape":{"B":1,"H":4,"K":64,"T":1024,"V":64},"spread_ms":0.5,"tokens_per_second":512.0})");
}

TEST(BenchScan, MemoryIsLinearInTheTokens) {
  const auto peaks = [](std::int64_t tokens) {
    ScanBench bench = small();
    bench.shape = {.B = 1, .T = tokens, .H = 2, .K = 32, .V = 32};
    std::vector<double> peak;
    for (const BenchRow& row : bench_scan(bench)) peak.push_back(row.peak_mib);
    return peak;
  };
  // Whole chunks, whatever their size.
  constexpr std::int64_t kTokens = 1920;
  const std::vector<double> once = peaks(kTokens), twice = peaks(2 * kTokens), fourfold = peaks(4 * kTokens);
  for (const int direction : {0, 1}) {  // the growth is constant, whatever the scratch beside it
    EXPECT_NEAR((fourfold[direction] - twice[direction]) / (twice[direction] - once[direction]), 2, 0.01);
  }
  // Without autograd nothing but α and μ in float64 grows with the tokens.
  constexpr double kGateBytes = 2.0 * 8 * 2 * kTokens;
  EXPECT_NEAR((twice[0] - once[0]) * 1024 * 1024, kGateBytes, 1024);
}

}  // namespace
}  // namespace mdnlab
