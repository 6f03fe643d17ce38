// One token along its key: eigenvalues against the closed forms.
#include "check/stability/pointwise.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/imag.h>
#include <ATen/ops/linalg_eigvals.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace mdnlab::stability {
namespace {

Gate random_gate(Random& random) {
  return {.alpha = random.uniform(0.01, 1),
          .mu = random.uniform(),
          .beta = random.uniform(0, 3),
          .eta = random.uniform(0, 2)};
}

TEST(Pointwise, RadiusIsAtMostOneExactlyWhereTheClosedFormSays) {
  Random random{1};
  std::vector<Gate> gates;
  for (int i = 0; i < 200'000; ++i) gates.push_back(random_gate(random));
  const std::vector<double> radius = radii(gates);
  int stable = 0;
  for (std::size_t i = 0; i < gates.size(); ++i) {
    const Gate& g = gates[i];
    const bool closed = g.alpha * g.step() <= (1 + g.alpha) * (1 + g.mu);
    ASSERT_EQ(closed, g.step() <= most_step_one_key(g.alpha, g.mu));
    ASSERT_EQ(radius[i] <= 1, closed) << "alpha " << g.alpha << " mu " << g.mu << " step " << g.step();
    stable += closed;
  }
  EXPECT_GT(stable, 20'000);
  EXPECT_LT(stable, 195'000);
}

TEST(Pointwise, AComplexPairHasTheLengthThatDecayAndMomentumGiveIt) {
  Random random{2};
  int pairs = 0;
  for (int i = 0; i < 2000; ++i) {
    const Gate g = random_gate(random);
    const at::Tensor matrix =
        at::tensor({g.alpha * (1 - g.step()), -g.beta * g.mu, g.alpha * g.eta, g.mu}, at::kDouble);
    const at::Tensor values = at::linalg_eigvals(matrix.view({2, 2}));
    const bool has_pair = at::imag(values).abs().max().item<double>() > 0;
    ASSERT_EQ(has_pair, is_complex(g));
    if (has_pair) {
      ASSERT_NEAR(radii(std::vector{g})[0], std::sqrt(g.alpha * g.mu), 1e-12);
    }
    pairs += has_pair;
  }
  EXPECT_GT(pairs, 200);
  EXPECT_LT(pairs, 1800);
}

TEST(Pointwise, WithoutDecayTheRegionsAreThoseOfDeltaMomentum) {
  for (const double mu : {0.1, 0.5, 0.99}) {
    EXPECT_DOUBLE_EQ(most_step_one_key(1, mu), 2 * (1 + mu));
    EXPECT_NEAR(complex_steps(1, mu).first, std::pow(1 - std::sqrt(mu), 2), 1e-15);
    EXPECT_NEAR(complex_steps(1, mu).second, std::pow(1 + std::sqrt(mu), 2), 1e-15);
    // One key is stable for steps ((1+μ)/(1−μ))² larger than every key is.
    EXPECT_NEAR(most_step_one_key(1, mu) / *most_step_every_key(1, mu), std::pow((1 + mu) / (1 - mu), 2),
                1e-9);
  }
}

TEST(Pointwise, WithoutDeltaTheEigenvaluesAreDecayAndMomentum) {
  Random random{3};
  for (int i = 0; i < 200; ++i) {
    Gate g = random_gate(random);
    g.erase = 0;
    ASSERT_NEAR(radii(std::vector{g})[0], std::max(g.alpha, g.mu), 1e-12);
    ASSERT_FALSE(is_complex(g));
  }
}

TEST(Pointwise, TheCertifiedShareIsStrengthTimesMeanDelayAndAHalf) {
  const Gate g{.alpha = 0.9, .mu = 0.45, .beta = 0.3, .eta = 0.8, .erase = 0.5};
  const double nu = 0.5, u = 0.3 * 0.8 * 0.5 / (1 - nu), mean_delay = nu / (1 - nu);
  EXPECT_NEAR(certified_share(g), u * (mean_delay + 0.5), 1e-15);
  EXPECT_TRUE(std::isinf(certified_share({.alpha = 0.5, .mu = 0.5, .beta = 0.1})));
}

}  // namespace
}  // namespace mdnlab::stability
