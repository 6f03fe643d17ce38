#include "check/verdict.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <stdexcept>

namespace mdnlab::check {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

const Where here{"recurrence/length", "T=3", at::kFloat};

Case only(const Verdict& verdict) {
  EXPECT_THAT(verdict.cases(), SizeIs(1));
  return verdict.cases().front();
}

at::Tensor with(double value) {  // 2×3 ones, but one entry
  at::Tensor tensor = at::ones({2, 3}, at::kDouble);
  tensor[1][2] = value;
  return tensor;
}

TEST(Verdict, NamesACaseByWhereItBelongs) {
  Verdict verdict;
  verdict.close(here, "d_eta", with(1), with(1));
  verdict.holds({"layer/state", "", at::kBFloat16}, "S", true, "");
  EXPECT_EQ(verdict.cases()[0].name, "recurrence/length/T=3/f32/d_eta");
  EXPECT_EQ(verdict.cases()[0].group, "recurrence/length");
  EXPECT_EQ(verdict.cases()[0].dtype, "f32");
  EXPECT_EQ(verdict.cases()[1].name, "layer/state/bf16/S");
  Verdict joined;
  joined.append(verdict, "delta=false");
  EXPECT_EQ(joined.cases()[0].name, "recurrence/length/delta=false/T=3/f32/d_eta");
}

TEST(Verdict, MeasuresTheRelativeNormAndPointsAtTheWorstEntry) {
  Verdict verdict;
  verdict.close(here, "o", with(1 + 3e-5 * std::sqrt(6)), with(1));
  const Case row = only(verdict);
  EXPECT_NEAR(row.error, 3e-5, 1e-9);
  EXPECT_EQ(row.tolerance, 1e-5);
  EXPECT_EQ(row.worst_index, "[1,2]");
  EXPECT_THAT(row.note, HasSubstr("expected 1"));
  EXPECT_FALSE(row.passed);
}

TEST(Verdict, PassesWithinTheToleranceOfTheDtype) {
  Verdict verdict;
  verdict.close(here, "o", with(1 + 1e-6), with(1));
  verdict.close({"g", "", at::kDouble}, "o", with(1 + 1e-6), with(1));
  EXPECT_TRUE(verdict.cases()[0].passed);
  EXPECT_FALSE(verdict.cases()[1].passed);
}

TEST(Verdict, FailsWhatIsNoNumber) {
  for (const double value :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    Verdict verdict;
    verdict.close(here, "o", with(value), with(1));
    verdict.equal(here, "o", with(value), with(value));
    for (const Case& row : verdict.cases()) {
      EXPECT_FALSE(row.passed);
      EXPECT_FALSE(std::isfinite(row.error));
      EXPECT_EQ(row.worst_index, "[1,2]");
    }
  }
}

TEST(Verdict, TakesAMissingGradientForZero) {
  Verdict verdict;
  verdict.close(here, "d_eta", at::Tensor(), with(1));
  verdict.close(here, "d_eta", at::zeros({2, 3}), at::Tensor());
  EXPECT_FALSE(verdict.cases()[0].passed);
  EXPECT_EQ(verdict.cases()[0].error, 1);
  EXPECT_TRUE(verdict.cases()[1].passed);
}

TEST(Verdict, FailsAnotherShape) {
  Verdict verdict;
  verdict.close(here, "S", at::ones({3, 2}), at::ones({2, 3}));
  EXPECT_FALSE(only(verdict).passed);
  EXPECT_EQ(only(verdict).note, "found (3,2), expected (2,3)");
}

TEST(Verdict, TakesEqualLiterally) {
  Verdict verdict;
  verdict.equal(here, "o", with(1), with(1));
  verdict.equal(here, "o", with(std::nextafter(1, 2)), with(1));
  EXPECT_TRUE(verdict.cases()[0].passed);
  EXPECT_FALSE(verdict.cases()[1].passed);
  EXPECT_GT(verdict.cases()[1].error, 0);
}

TEST(Verdict, JudgesEachHeadByItsOwnTolerance) {
  const at::Tensor expected = at::ones({4, 2}), found = expected.clone();
  found.select(1, 1).fill_(1.1);
  Verdict verdict;
  verdict.close_each(here, "o", found, expected, 1, 1, {1e-3, 0.2});
  verdict.close_each(here, "o", found, expected, 1, 1, {0.2, 1e-3});
  EXPECT_TRUE(verdict.cases()[0].passed);
  EXPECT_FALSE(verdict.cases()[1].passed);
  EXPECT_EQ(verdict.cases()[1].tolerance, 1e-3);
}

TEST(Verdict, DrawsThatCancelCountAsTheUsualOne) {
  // Three draws of two tokens and one head: the second's answer is almost nothing, the third's is large.
  const at::Tensor expected = at::tensor({3.0, 4.0, 0.0, 1e-9, 30.0, 40.0}, at::kDouble).view({6, 1});
  const at::Tensor error = at::tensor({0.5, 0.0, 0.0, 0.5, 0.0, 5.0}, at::kDouble).view({6, 1});
  const std::vector<double> errors = relative_errors(expected + error, expected, 1, 3);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_NEAR(errors[0], 0.1, 1e-12);
  EXPECT_EQ(relative_errors(expected, expected, 1, 3)[0], 0);
  EXPECT_EQ(relative_errors(at::ones({2, 1}), at::zeros({2, 1}), 1, 2)[0],
            std::numeric_limits<double>::infinity());
}

TEST(Verdict, TurnsAnExceptionIntoAFailure) {
  Verdict verdict;
  verdict.attempt(here, [] { throw std::runtime_error("no such kernel\nframe #0"); });
  EXPECT_EQ(only(verdict).name, "recurrence/length/T=3/f32/runs");
  EXPECT_FALSE(only(verdict).passed);
  EXPECT_EQ(only(verdict).note, "no such kernel");
}

}  // namespace
}  // namespace mdnlab::check
