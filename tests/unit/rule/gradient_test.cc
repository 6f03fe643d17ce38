// The gradients of a whole layer against differences of its values, in float64, for every rule.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <gtest/gtest.h>

#include <cmath>

#include "layer.h"

namespace mdnlab {
namespace {

// Σ y·w for fixed random w, so that no output's gradient hides behind another's.
at::Tensor loss_of(const Layer& layer, const at::Tensor& x, const at::Tensor& w,
                   const ops::Documents& documents) {
  return (layer.whole(x, documents) * w).sum();
}

at::Tensor direction_like(const at::Tensor& tensor, const std::string& name) {
  at::Tensor direction = at::empty_like(tensor.detach());
  fill(direction, {.kind = Initial::Kind::normal, .a = 1}, 3, name);
  return direction / direction.norm();
}

class Gradient : public testing::TestWithParam<LayerCase> {
 protected:
  void check(const ops::Documents& documents) {
    const Layer layer(GetParam());
    const at::Tensor x = random_input(2, 19);
    const at::Tensor w = random_input(2, 19, at::kDouble, 5);
    std::vector<std::pair<std::string, at::Tensor>> leaves = layer.weights().all();
    leaves.emplace_back("x", x);
    for (auto& [name, leaf] : leaves) leaf.set_requires_grad(true);
    loss_of(layer, x, w, documents).backward();

    const at::NoGradGuard no_grad;
    for (auto& [name, leaf] : leaves) {
      ASSERT_TRUE(leaf.grad().defined()) << name << " has no gradient";
      const at::Tensor direction = direction_like(leaf, name);
      const double predicted = (leaf.grad() * direction).sum().item<double>();
      const double step = 1e-5;
      leaf.add_(direction, step);
      const double above = loss_of(layer, x, w, documents).item<double>();
      leaf.add_(direction, -2 * step);
      const double below = loss_of(layer, x, w, documents).item<double>();
      leaf.add_(direction, step);
      const double measured = (above - below) / (2 * step);
      // The difference is good to about step² and 1e-16 · |loss| / step.
      EXPECT_NEAR(predicted, measured, 1e-7 * (1 + leaf.grad().norm().item<double>())) << name;
      EXPECT_GT(leaf.grad().norm().item<double>(), 0) << name << " does nothing";
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Rules, Gradient, testing::ValuesIn(layer_cases()),
                         [](const auto& info) { return info.param.name(); });

TEST_P(Gradient, OfEveryLearnedTensorAndTheInput) { check({}); }

TEST_P(Gradient, AcrossPackedDocuments) { check(ops::documents(2, 19, {4, 5, 19 + 12})); }

}  // namespace
}  // namespace mdnlab
