// The two ways to the sums of the short convolution, held against each other and against its definition.
#include "ops/convolution.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <limits>

#include "ops/documents.h"

namespace mdnlab::ops {
namespace {

// Documents of 3, 1 and 29 tokens in row 0, of 32 and 1 in row 1.
Documents packed() { return documents(2, 33, {3, 4, 33 + 32}); }

double worst(const at::Tensor& found, const at::Tensor& expected) {
  return found.numel() == 0 ? 0 : (found - expected).abs().max().item<double>();
}

struct Shape {
  std::int64_t tokens, taps;
  bool packed = false;
};
void PrintTo(const Shape& shape, std::ostream* stream) {
  *stream << shape.tokens << " tokens, " << shape.taps << " taps" << (shape.packed ? ", packed" : "");
}

class Convolution : public testing::TestWithParam<Shape> {
 protected:
  at::Tensor position() const { return GetParam().packed ? packed().position_BT : at::Tensor(); }
  at::Tensor input(at::ScalarType dtype) const { return at::randn({2, GetParam().tokens, 5}, dtype); }
  at::Tensor weight(at::ScalarType dtype) const { return at::randn({GetParam().taps, 5}, dtype); }
};

INSTANTIATE_TEST_SUITE_P(Shapes, Convolution,
                         testing::Values(Shape{33, 4}, Shape{33, 4, true}, Shape{33, 1, true},
                                         Shape{33, 9, true}, Shape{1, 4}, Shape{2, 4}, Shape{3, 9},
                                         Shape{0, 4}));

TEST_P(Convolution, BothWaysGiveTheSameSumsAndGradients) {
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
    const double rounding = dtype == at::kDouble ? 1e-13 : 5e-5;
    const at::Tensor x = input(dtype), w = weight(dtype), dsum = input(dtype);
    EXPECT_LT(worst(convolve_by_tensors(x, w, position()), convolve_by_loops(x, w, position())), rounding);
    const auto [dx, dweight] = convolve_backward_by_tensors(x, w, position(), dsum);
    const auto [dx_loops, dweight_loops] = convolve_backward_by_loops(x, w, position(), dsum);
    EXPECT_LT(worst(dx, dx_loops), rounding);
    EXPECT_LT(worst(dweight, dweight_loops), rounding);
    EXPECT_EQ(dweight.sizes(), w.sizes());
  }
}

// sum_{t} = Σ_back weight_back · x_{t−back} within the document, written out.
TEST_P(Convolution, TheSumsAreThoseOfTheDefinition) {
  const at::Tensor x = input(at::kDouble), w = weight(at::kDouble);
  at::Tensor expected = at::zeros_like(x);
  for (std::int64_t row = 0; row < 2; ++row) {
    for (std::int64_t t = 0; t < x.size(1); ++t) {
      const std::int64_t reach = position().defined() ? position()[row][t].item<std::int64_t>() : t;
      for (std::int64_t back = 0; back <= reach && back < w.size(0); ++back)
        expected[row][t] += w[back] * x[row][t - back];
    }
  }
  EXPECT_LT(worst(convolve_by_tensors(x, w, position()), expected), 1e-13);
}

TEST(Convolution, NaNOfADocumentReachesNoOther) {
  const at::Tensor position = packed().position_BT, w = at::randn({4, 5}, at::kFloat);
  const at::Tensor clean = at::randn({2, 33, 5}, at::kFloat);
  at::Tensor spoilt = clean.clone();
  spoilt[0].narrow(0, 3, 1).fill_(std::numeric_limits<double>::quiet_NaN());  // the document of one token
  const auto rest = [](const at::Tensor& y) { return y[0].narrow(0, 4, 29); };
  EXPECT_TRUE(at::equal(rest(convolve_by_tensors(spoilt, w, position)),
                        rest(convolve_by_tensors(clean, w, position))));
  const at::Tensor dx = convolve_backward_by_tensors(clean, w, position, spoilt).dx_BTC;
  EXPECT_TRUE(at::isfinite(dx[0].narrow(0, 0, 3)).all().item<bool>());
  EXPECT_TRUE(at::isfinite(rest(dx)).all().item<bool>());
}

}  // namespace
}  // namespace mdnlab::ops
