// What is said of a trained layer's gates.
#include "check/stability/gate_report.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

namespace mdnlab::stability {
namespace {

double median(const HeadReport& report, const char* name) { return report.of(name).quantiles[2]; }

TEST(GateReport, DerivesEachQuantity) {
  const Gate g{.alpha = 0.5, .mu = 0.25, .beta = 0.6, .eta = 1.5, .erase = 0.5};
  const HeadReport report = report_head(2, 1, {g, g, g});
  EXPECT_EQ(report.layer, 2);
  EXPECT_EQ(report.head, 1);
  EXPECT_EQ(report.gates, 3);
  const double nu = 0.5, u = 0.45 / 0.5;
  EXPECT_DOUBLE_EQ(median(report, "alpha"), 0.5);
  EXPECT_DOUBLE_EQ(median(report, "eta"), 0.75);
  EXPECT_DOUBLE_EQ(median(report, "nu"), nu);
  EXPECT_DOUBLE_EQ(median(report, "u"), u);
  EXPECT_DOUBLE_EQ(median(report, "gamma"), 0.6 * nu / (1 - nu));
  EXPECT_DOUBLE_EQ(median(report, "rho"), u * (1 + nu) / (2 * (1 - nu)));
  EXPECT_DOUBLE_EQ(median(report, "decay_half_life"), 1);
  EXPECT_DOUBLE_EQ(median(report, "momentum_half_life"), 0.5);
}

TEST(GateReport, CountsWhatIsUncertifiedAndWhatOscillates) {
  const Gate calm{.alpha = 0.9, .mu = 0.1, .beta = 0.1}, fast{.alpha = 0.9, .mu = 0.8, .beta = 1},
      beyond{.alpha = 0.5, .mu = 0.6, .beta = 0};
  const HeadReport report = report_head(0, 0, {calm, fast, beyond, calm});
  EXPECT_DOUBLE_EQ(report.share_uncertified, 0.5);
  EXPECT_DOUBLE_EQ(report.share_complex, 0.25);
  EXPECT_TRUE(std::isinf(report.of("rho").quantiles.back()));
  EXPECT_TRUE(std::isinf(median(report_head(0, 0, {{.alpha = 1}}), "decay_half_life")));
  EXPECT_EQ(median(report_head(0, 0, {{.alpha = 1}}), "momentum_half_life"), 0);
}

TEST(GateReport, TakesQuantilesBetweenValues) {
  std::vector<Gate> gates;
  for (int i = 10; i >= 0; --i) gates.push_back({.alpha = i / 10.0});
  const HeadReport report = report_head(0, 0, gates);
  const std::vector<double> expected{0.05, 0.25, 0.5, 0.75, 0.95};
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(report.of("alpha").quantiles[i], expected[i], 1e-12);
}

TEST(GateReport, TakesHeadsApartAndSpreadsScalarsOverChannels) {
  Coefficients c;
  c.beta = at::tensor({1.0, 2.0, 3.0, 4.0}, at::kDouble).view({1, 2, 2});  // (B,T,H)
  std::vector<std::vector<Gate>> heads = gates_by_head(c);
  ASSERT_EQ(heads.size(), 2);
  EXPECT_EQ(heads[1][1].beta, 4);
  EXPECT_EQ(heads[0][1].beta, 3);
  EXPECT_EQ(heads[0][0].alpha, 1);
  EXPECT_EQ(heads[0][0].mu, 0);
  EXPECT_EQ(heads[0][0].eta, 1);
  EXPECT_EQ(heads[0][0].erase, 0) << "no delta";
  c.has_delta = true;
  c.log_alpha = at::log(at::full({1, 2, 2, 3}, 0.5, at::kDouble));
  heads = gates_by_head(c);
  ASSERT_EQ(heads[0].size(), 6);
  EXPECT_EQ(heads[0][5].beta, 3);
  EXPECT_DOUBLE_EQ(heads[1][4].alpha, 0.5);
  EXPECT_EQ(heads[1][4].erase, 1);
  c.beta = at::Tensor();
  EXPECT_EQ(gates_by_head(c)[1].size(), 6);
}

}  // namespace
}  // namespace mdnlab::stability
