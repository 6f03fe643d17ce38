// The certificates: escrow's theorem and its proof, and what the check finds when one is false.
#include "check/stability/certificate.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "rules.h"

namespace mdnlab::stability {
namespace {

class Certified : public testing::TestWithParam<std::pair<std::string, std::vector<std::string>>> {};

TEST_P(Certified, NoStepMakesTheNormGrow) {
  const GateSet set = gates_of(GetParam().first, GetParam().second);
  ASSERT_NE(set.certificate.norm, Certificate::Norm::none);
  const CertificateCheck check = check_certificate(set, 200'000, 3);
  EXPECT_LE(check.worst_random, 1 + 1e-12);
  EXPECT_LE(check.worst_adversarial, 1 + 1e-12);
  EXPECT_GT(check.worst_adversarial, 0.99) << "the search reaches the edge";
  EXPECT_TRUE(check.holds());
}

INSTANTIATE_TEST_SUITE_P(
    Rules, Certified,
    testing::Values(std::pair{"mdn", std::vector<std::string>{"gate_constraint=escrow"}},
                    std::pair{"mdn", std::vector<std::string>{"gate_constraint=escrow", "escrow_c=1",
                                                              "erase_share=true"}},
                    std::pair{"mdn", std::vector<std::string>{"gate_constraint=escrow", "escrow_c=10",
                                                              "escrow_theta=0.999"}},
                    std::pair{"delta_momentum", std::vector<std::string>{"gate_constraint=escrow"}},
                    std::pair{"kda_momentum", std::vector<std::string>{"gate_constraint=escrow"}},
                    std::pair{"decay_momentum", std::vector<std::string>{"gate_constraint=escrow"}},
                    std::pair{"decay_momentum", std::vector<std::string>{"gate_constraint=effective_step"}},
                    std::pair{"gated_deltanet", std::vector<std::string>{"allow_neg_eigval=true"}},
                    std::pair{"deltanet", std::vector<std::string>{}},
                    std::pair{"kda", std::vector<std::string>{}},
                    std::pair{"scalar_ssd", std::vector<std::string>{}}));

// A claim that is false is found false: the paper's gates under escrow's norm, steps beyond 2.
TEST(Certificate, OfAnotherSetIsBroken) {
  GateSet paper = gates_of("mdn", {"gate_constraint=paper"});
  paper.certificate = {Certificate::Norm::escrow, 2};
  EXPECT_FALSE(check_certificate(paper, 20'000, 1).holds());
  GateSet wild = gates_of("deltanet");
  wild.gate = [](std::span<const double> values) { return Gate{.beta = 2.2 * values[0]}; };
  EXPECT_FALSE(check_certificate(wild, 20'000, 1).holds());
}

// u_max is sharp for its c: 1 % beyond it the norm grows.
TEST(Certificate, EndsAtTheLargestWrite) {
  for (const double c : {0.5, 1.0, 2.0}) {
    for (const double nu : {0.2, 0.6, 0.9}) {
      const double most = 2 * c * (1 - nu * nu) / ((1 + c) * (1 + c * nu * nu));
      double worst[2] = {0, 0};
      for (int side = 0; side < 2; ++side) {
        const double u = most * (side == 0 ? 1 : 1.01);
        const Gate gate{.alpha = 1, .mu = nu, .beta = (1 - nu) / nu, .eta = nu * u};
        for (int i = 0; i < 3600; ++i) {
          const double angle = M_PI * i / 3600;
          const State<4> state{.s = {std::cos(angle)}, .m = {std::sin(angle)}};
          worst[side] = std::max(worst[side], certificate_ratio({Certificate::Norm::escrow, c}, state,
                                                                same_in_every_channel<4>(gate, {1})));
        }
      }
      EXPECT_LE(worst[0], 1 + 1e-12);
      EXPECT_GT(worst[1], 1 + 1e-6);
    }
  }
}

struct Write {
  double nu, u, c, value;
  State<1> before, after;
  double W(const State<1>& state) const {
    return std::pow(state.s[0] - state.m[0], 2) + c * state.m[0] * state.m[0];
  }
};

// One token on the key at α = 1 that writes `value`, by the recurrence itself.
Write random_write(Random& random, double most_share) {
  Write w{.nu = random.uniform(0.02, 0.98), .c = random.uniform(0.3, 3), .value = random.uniform(-2, 2)};
  const double most = 2 * w.c * (1 - w.nu * w.nu) / ((1 + w.c) * (1 + w.c * w.nu * w.nu));
  w.u = most * random.uniform() * most_share;
  w.before = {.s = {random.uniform(-1, 1)}, .m = {random.uniform(-1, 1)}};
  const double residual = w.value - w.before.s[0];
  w.after.m[0] = w.nu * w.before.m[0] - w.nu * w.u * residual;
  w.after.s[0] = w.before.s[0] - (1 - w.nu) / w.nu * w.after.m[0];
  return w;
}

// W' = W − c(1−ν²)(m + ur(1+cν²)/(c(1−ν²)))² − 2u(1 − u/u_max)r² + 2urv
TEST(Escrow, ChangesItsNormByTheProofsIdentity) {
  Random random{5};
  for (int i = 0; i < 10'000; ++i) {
    const Write w = random_write(random, 1.5);
    const double c = w.c, nu2 = w.nu * w.nu, r = w.value - w.before.s[0], m = w.before.m[0];
    const double most = 2 * c * (1 - nu2) / ((1 + c) * (1 + c * nu2));
    const double square = m + w.u * r * (1 + c * nu2) / (c * (1 - nu2));
    const double expected = w.W(w.before) - c * (1 - nu2) * square * square -
                            2 * w.u * (1 - w.u / most) * r * r + 2 * w.u * r * w.value;
    ASSERT_NEAR(w.W(w.after), expected, 1e-9 * (1 + std::abs(expected)) / (1 - nu2));
  }
}

// With u ≤ ϑ u_max: W' ≤ W + u v²/(2(1−ϑ)).
TEST(Escrow, AWriteAddsNoMoreThanItsBound) {
  Random random{6};
  for (int i = 0; i < 50'000; ++i) {
    const double theta = 0.95;
    const Write w = random_write(random, theta);
    ASSERT_LE(w.W(w.after), w.W(w.before) + w.u * w.value * w.value / (2 * (1 - theta)) + 1e-12);
  }
}

// Without delta, u = (1−α)·b: ‖S‖ stays within the largest ‖v‖, from nothing.
TEST(Escrow, WithoutDeltaTheMemoryStaysWithinTheValues) {
  const GateSet set = gates_of("decay_momentum", {"gate_constraint=escrow"});
  Random random{9};
  double most = 0;
  for (int sequence = 0; sequence < 200; ++sequence) {
    double s = 0, m = 0;
    const double slow = sequence % 2 == 0 ? 0.9 : 0;
    for (int t = 0; t < 400; ++t) {
      std::vector<double> units(set.variables.size());
      for (double& x : units) x = random.uniform(slow, 1);
      const Gate g = set.gate(set.values(units));
      m = g.mu * m - g.eta;  // v = 1
      s = g.alpha * s - g.beta * m;
      most = std::max(most, std::abs(s));
    }
  }
  EXPECT_LE(most, 1 + 1e-12);
  EXPECT_GT(most, 0.5);
}

// Without delta a constant write ends at βη/((1−α)(1−μ)) of itself.
TEST(DecayMomentum, HasTheSteadyGainOfItsSums) {
  const double alpha = 0.9, mu = 0.8, beta = 0.3, eta = 1.4;
  double s = 0, m = 0;
  for (int t = 0; t < 1000; ++t) {
    m = mu * m - eta;
    s = alpha * s - beta * m;
  }
  EXPECT_NEAR(s, beta * eta / ((1 - alpha) * (1 - mu)), 1e-9);
}

}  // namespace
}  // namespace mdnlab::stability
