// No rule cares where its tensors are.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones_like.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "layer.h"
#include "scan/rehearsal.h"

namespace mdnlab {
namespace {

class AnyDevice : public testing::TestWithParam<LayerCase> {
 protected:
  static void SetUpTestSuite() { prepare_meta_device(); }

  explicit AnyDevice() : layer_(GetParam(), at::kFloat) {
    for (const auto& [name, tensor] : layer_.weights().all())
      weights_.add(name, tensor.detach().to(at::kMeta).set_requires_grad(true));
  }

  at::Tensor input(std::int64_t tokens) const {
    return random_input(2, tokens, at::kBFloat16).to(at::kMeta).set_requires_grad(true);
  }
  at::Tensor run(const at::Tensor& x, const ops::Documents& documents, LayerState* state) const {
    const at::Tensor y = layer_.rule().forward(x, weights_, documents, state);
    EXPECT_TRUE(y.is_meta());
    EXPECT_EQ(y.sizes(), x.sizes());
    EXPECT_EQ(y.scalar_type(), x.scalar_type());
    return y;
  }
  // Of x and of every learned value.
  void differentiate(const at::Tensor& y, const at::Tensor& x) const {
    std::vector<at::Tensor> leaves{x};
    for (const auto& [name, tensor] : weights_.all()) leaves.push_back(tensor);
    for (const at::Tensor& gradient : torch::autograd::grad({y}, leaves, {at::ones_like(y)}))
      EXPECT_TRUE(gradient.is_meta());
  }

  const Layer layer_;
  Weights weights_;
};

INSTANTIATE_TEST_SUITE_P(Rules, AnyDevice, testing::ValuesIn(layer_cases()),
                         [](const auto& info) { return info.param.name(); });

TEST_P(AnyDevice, WholeSequencesAndTheirGradients) {
  const at::Tensor x = input(83);
  differentiate(run(x, {}, nullptr), x);
}

TEST_P(AnyDevice, PackedDocumentsAndTheirGradients) {
  const at::Tensor x = input(47);
  differentiate(run(x, ops::documents(2, 47, {3, 4, 33, 47 + 32}).to(at::kMeta), nullptr), x);
}

TEST_P(AnyDevice, DecodingWithAState) {
  const at::NoGradGuard no_grad;
  LayerState state;
  for (const std::int64_t tokens : {2, 1, 40}) run(input(tokens), {}, &state);
  for (const at::Tensor& tensor : state.tensors) EXPECT_TRUE(tensor.is_meta());
}

}  // namespace
}  // namespace mdnlab
