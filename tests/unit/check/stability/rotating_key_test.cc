// Constant gates under a key that turns.
#include "check/stability/rotating_key.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "check/stability/pointwise.h"
#include "rules.h"

namespace mdnlab::stability {
namespace {

TEST(RotatingKey, FindsThatThePapersGatesGrow) {
  const GateSet set = gates_of("mdn", {"gate_constraint=paper"});
  const Constant edge = constant_at(set, {{"log_factor", -1}, {"eta", 1.75}, {"mu", 0.999}});
  EXPECT_NEAR(edge.gate.alpha + edge.gate.beta, 1, 1e-12);  // cos²θ and sin²θ
  EXPECT_NEAR(edge.turning.growth, 1.0829, 1e-4);
  EXPECT_NEAR(edge.turning.angle, 0.358, 2e-3);
  EXPECT_LT(radii(std::vector{edge.gate})[0], 1) << "each token by itself is stable";
  const Constant worst = worst_constant(set, 0);
  EXPECT_GE(worst.turning.growth, 1.118);
  EXPECT_LT(worst.turning.growth, 1.119);
}

// At α = 1, constant gates are bounded under every key exactly up to βη = 2(1−μ)²/(1+μ).
TEST(RotatingKey, CrossesOneAtTheSharpBound) {
  for (const double mu : {0.1, 0.5, 0.9, 0.97}) {
    const double bound = *most_step_every_key(1, mu);
    for (const double beta : {0.25, 1.0, 4.0}) {
      const auto at = [&](double share) {
        return worst_angle({.alpha = 1, .mu = mu, .beta = beta, .eta = share * bound / beta}).growth;
      };
      EXPECT_LT(at(0.999), 1 + 1e-7) << mu;
      EXPECT_GT(at(1.02), 1 + 1e-6) << mu;
    }
  }
}

// J = α·J(α = 1, ν): what holds at α = 1 for ν = μ/α holds for growth relative to α.
TEST(RotatingKey, DecayScalesGrowth) {
  const Gate fast{.alpha = 1, .mu = 0.8, .beta = 0.7, .eta = 1.2};
  Gate slow = fast;
  slow.alpha = 0.6;
  slow.mu = 0.6 * 0.8;
  EXPECT_NEAR(worst_angle(slow).growth, 0.6 * worst_angle(fast).growth, 1e-6);
}

TEST(RotatingKey, FindsTheWorstAngleBetweenThoseOfItsScan) {
  const Gate gate{.alpha = 0.99, .mu = 0.95, .beta = 0.9, .eta = 1.5};
  const Turning worst = worst_angle(gate);
  EXPECT_NEAR(worst.growth, 1.5085, 1e-4);
  EXPECT_NEAR(std::max(worst.angle, most_angle - worst.angle), 2.3756, 1e-3) << "k and −k are one key";
}

TEST(RotatingKey, IsTheSameForASeed) {
  const GateSet set = gates_of("mdn", {"gate_constraint=none"});
  EXPECT_EQ(worst_constant(set, 5).values, worst_constant(set, 5).values);
}

}  // namespace
}  // namespace mdnlab::stability
