// A layer along time, for every rule: however a sequence is cut, what comes out is the same.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "layer.h"

namespace mdnlab {
namespace {

constexpr double exact = 1e-12;  // float64, sums in another order

class Sequence : public testing::TestWithParam<LayerCase> {
 protected:
  const at::NoGradGuard no_grad_;
};

INSTANTIATE_TEST_SUITE_P(Rules, Sequence, testing::ValuesIn(layer_cases()),
                         [](const auto& info) { return info.param.name(); });

TEST_P(Sequence, SegmentsWithTheirStateCarriedEqualTheWhole) {
  const Layer layer(GetParam());
  const at::Tensor x = random_input(2, 83);  // more than a chunk of the scan
  const at::Tensor whole = layer.whole(x);
  for (const std::vector<std::int64_t>& cut :
       std::vector<std::vector<std::int64_t>>{{41, 42}, {1, 82}, {2, 64, 17}, {82, 1}}) {
    LayerState state;
    std::vector<at::Tensor> parts;
    std::int64_t done = 0;
    for (const std::int64_t tokens : cut) {
      parts.push_back(layer.next(x.narrow(1, done, tokens), state));
      done += tokens;
    }
    EXPECT_EQ(state.position, 83);
    EXPECT_LT(relative_error(at::cat(parts, 1), whole), exact) << "first segment of " << cut[0];
  }
}

TEST_P(Sequence, DecodingTokenByTokenEqualsTheWhole) {
  const Layer layer(GetParam());
  const at::Tensor x = random_input(3, 29);
  LayerState state;
  std::vector<at::Tensor> parts;
  for (std::int64_t t = 0; t < 29; ++t) parts.push_back(layer.next(x.narrow(1, t, 1), state));
  EXPECT_LT(relative_error(at::cat(parts, 1), layer.whole(x)), exact);
}

TEST_P(Sequence, DecodingInFloat32StaysCloseToTheWhole) {
  const Layer layer(GetParam(), at::kFloat);
  const at::Tensor x = random_input(2, 70, at::kFloat);
  LayerState state;
  std::vector<at::Tensor> parts{layer.next(x.narrow(1, 0, 40), state)};
  for (std::int64_t t = 40; t < 70; ++t) parts.push_back(layer.next(x.narrow(1, t, 1), state));
  const at::Tensor whole = layer.whole(x);
  EXPECT_EQ(whole.scalar_type(), at::kFloat);
  EXPECT_LT(relative_error(at::cat(parts, 1), whole), 2e-5);
}

TEST_P(Sequence, PackedDocumentsEqualSeparateOnes) {
  const Layer layer(GetParam());
  const at::Tensor x = random_input(2, 40);
  // Row 0: 3, 1, 29 and 7 tokens; row 1: 25 and 15.
  const at::Tensor packed = layer.whole(x, ops::documents(2, 40, {3, 4, 33, 40 + 25}));
  struct Document {
    std::int64_t row, first, tokens;
  };
  for (const auto& [row, first, tokens] :
       std::vector<Document>{{0, 0, 3}, {0, 3, 1}, {0, 4, 29}, {0, 33, 7}, {1, 0, 25}, {1, 25, 15}}) {
    const at::Tensor alone = layer.whole(x.narrow(0, row, 1).narrow(1, first, tokens));
    EXPECT_LT(relative_error(packed.narrow(0, row, 1).narrow(1, first, tokens), alone), exact)
        << "the document at " << first << " of row " << row;
  }
}

TEST_P(Sequence, ALaterTokenNeverChangesAnEarlierOutput) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    const Layer layer(GetParam(), dtype);
    const at::Tensor x = random_input(2, 71, dtype);
    const at::Tensor before = layer.whole(x);
    for (const std::int64_t first : {1, 20, 63, 64, 70}) {
      at::Tensor other = x.clone();
      other.narrow(1, first, 71 - first).copy_(random_input(2, 71 - first, dtype, 2));
      const at::Tensor after = layer.whole(other);
      EXPECT_TRUE(at::equal(before.narrow(1, 0, first), after.narrow(1, 0, first)))
          << "changed from token " << first;
      EXPECT_FALSE(at::equal(before.narrow(1, first, 1), after.narrow(1, first, 1)));
    }
  }
}

TEST_P(Sequence, RowsOfABatchDoNotMix) {
  const Layer layer(GetParam());
  const at::Tensor x = random_input(3, 33);
  const at::Tensor together = layer.whole(x);
  for (std::int64_t row = 0; row < 3; ++row) {
    EXPECT_LT(relative_error(together.narrow(0, row, 1), layer.whole(x.narrow(0, row, 1))), exact);
  }
}

TEST(SequenceCases, HaveEveryRule) {
  for (const Plugin& plugin : plugins().all()) {
    const auto tested = [&](const LayerCase& choice) { return choice.rule == plugin.info().name; };
    EXPECT_TRUE(std::ranges::any_of(layer_cases(), tested)) << plugin.info().name;
  }
}

TEST_P(Sequence, TheStateIsWhatTheRuleSaysItIs) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16}) {
    const Layer layer(GetParam(), dtype);
    LayerState state;
    const at::Tensor y = layer.next(random_input(3, 11, dtype), state);
    EXPECT_EQ(y.scalar_type(), dtype);
    EXPECT_EQ(y.sizes(), at::IntArrayRef({3, 11, Layer::hidden}));
    EXPECT_TRUE(at::isfinite(y).all().item<bool>());
    const std::vector<StateSpec> specs = layer.rule().state(11, dtype);
    ASSERT_EQ(state.tensors.size(), specs.size());
    for (std::size_t i = 0; i < specs.size(); ++i) {
      std::vector<std::int64_t> shape{3};
      shape.insert(shape.end(), specs[i].shape.begin(), specs[i].shape.end());
      EXPECT_EQ(state.tensors[i].sizes(), at::IntArrayRef(shape)) << specs[i].name;
      EXPECT_EQ(state.tensors[i].scalar_type(), specs[i].dtype) << specs[i].name;
      EXPECT_EQ(static_cast<std::int64_t>(state.tensors[i].nbytes()), 3 * specs[i].bytes()) << specs[i].name;
    }
  }
}

}  // namespace
}  // namespace mdnlab
