// The search for the worst growth.
#include "check/stability/adversary.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "check/stability/pointwise.h"
#include "check/stability/search.h"
#include "rules.h"

namespace mdnlab::stability {
namespace {

Attack attack_on(const GateSet& set, int most_period = 3) {
  return worst_attack(set, worst_constant(set, 0), most_period, 0);
}

TEST(Search, FindsAPeakAndIsTheSameForASeed) {
  const auto peak = [](const Point& x) { return -std::hypot(x[0] - 0.3, x[1] - 0.71, x[2] - 1); };
  const Best best = maximize({.dimensions = 3, .seed = 4}, peak);
  EXPECT_GT(best.value, -2e-3);
  EXPECT_EQ(best.point, maximize({.dimensions = 3, .seed = 4}, peak).point);
  EXPECT_NE(best.point, maximize({.dimensions = 3, .seed = 5}, peak).point);
}

TEST(Adversary, GrowsWhereItSaysByWhatItSays) {
  const GateSet set = gates_of("mdn", {"gate_constraint=paper"});
  const Attack attack = attack_on(set);
  EXPECT_GE(attack.growth, 1.118);
  const std::vector<Moment> moments = trajectory(attack, 600);
  ASSERT_EQ(moments.size(), 600);
  EXPECT_EQ(moments.back().token, 600);
  EXPECT_NEAR((moments[599].log_memory - moments[299].log_memory) / 300, std::log(attack.growth), 1e-3);
  EXPECT_GT(moments.back().log_memory, 22) << "more than a greedy adversary's e^22";
  for (const Moment& moment : moments) ASSERT_LE(set.excess(moment.gate), 1e-12);
}

// A period of gates beats constant ones where β and η of different tokens need not fit.
TEST(Adversary, FindsMoreThanConstantGates) {
  const GateSet set = gates_of("delta_momentum", {"gate_constraint=none"});
  const Attack attack = attack_on(set);
  EXPECT_NEAR(worst_constant(set, 0).turning.growth, std::sqrt(3), 1e-4);
  EXPECT_GT(attack.growth, 1.9);
  EXPECT_EQ(attack.period.size(), 3);
}

TEST(Adversary, FindsThatTheEffectiveStepGrowsWhenTheInnerRateChanges) {
  const GateSet set = gates_of("delta_momentum", {"gate_constraint=effective_step"});
  EXPECT_GT(worst_constant(set, 0).turning.growth, 1.07);
  EXPECT_GT(attack_on(set, 2).growth, 10);
  const Attack with_decay = attack_on(gates_of("mdn", {"gate_constraint=effective_step"}), 2);
  EXPECT_GT(trajectory(with_decay, 100).back().log_memory, 100) << "also where one token forgets everything";
}

// What constant gates under a turning key do is among what it may choose, also where the key's channels may
// decay apart.
TEST(Adversary, FindsNoLessThanConstantGatesDo) {
  for (const char* constraint : {"none", "paper", "effective_step"}) {
    for (const char* decay : {"scalar", "channel"}) {
      const GateSet set =
          gates_of("family", {std::string("gate_constraint=") + constraint, std::string("decay=") + decay});
      const Constant constant = worst_constant(set, 0);
      EXPECT_GT(constant.turning.growth, 1.06) << constraint << " " << decay;
      EXPECT_GE(worst_attack(set, constant, 1, 0).growth, constant.turning.growth - 1e-9)
          << constraint << " " << decay;
    }
  }
}

TEST(Adversary, NeverMakesEscrowGrow) {
  for (const char* rule : {"mdn", "delta_momentum", "kda_momentum", "decay_momentum"}) {
    const GateSet set = gates_of(rule, {"gate_constraint=escrow"});
    const Attack attack = attack_on(set);
    EXPECT_LE(attack.growth, 1 + 1e-6) << rule;
    for (const Moment& moment : trajectory(attack, 600))
      ASSERT_LE(moment.log_memory, 0.5 * std::log(1 + 1 / set.certificate.c) + 1e-9) << rule;
  }
}

TEST(Adversary, IsTheSameForASeed) {
  const GateSet set = gates_of("mdn", {"gate_constraint=none"});
  const Constant start = worst_constant(set, 1);
  EXPECT_EQ(worst_attack(set, start, 2, 1).growth, worst_attack(set, start, 2, 1).growth);
  EXPECT_EQ(trajectory(worst_attack(set, start, 2, 1), 10).back().log_memory,
            trajectory(worst_attack(set, start, 2, 1), 10).back().log_memory);
}

// A radius of at most 1 at every token does not bound a product of different tokens, even on one key.
TEST(Products, OfStableTokensGrow) {
  Random random{7};
  double most = 0;
  for (int sequence = 0; sequence < 4096; ++sequence) {
    State<1> state{.s = {1}};
    for (int t = 0; t < 400; ++t) {
      Gate gate;
      do {
        gate = {.alpha = random.uniform(0.95, 1),
                .mu = random.uniform(0.95, 1),
                .beta = random.uniform(),
                .eta = random.uniform(0, 2)};
      } while (gate.step() > most_step_one_key(gate.alpha, gate.mu));
      state = advance(state, same_in_every_channel<1>(gate, {1}));
    }
    most = std::max(most, std::hypot(state.s[0], state.m[0]));
  }
  EXPECT_GT(most, 1e10);
  EXPECT_LT(most, 1e13);
}

// Random sequences do not show it: within the paper's gates they stay near where they start.
TEST(Products, OfThePapersGatesAtRandomDoNot) {
  const GateSet set = gates_of("mdn", {"gate_constraint=paper"});
  Random random{8};
  double most = 0;
  for (int sequence = 0; sequence < 1024; ++sequence) {
    State<4> state;
    for (double& s : state.s) s = 0.5;  // of length 1
    std::vector<double> units(set.variables.size());
    const std::size_t factor = set.index("log_factor");
    units[factor] = random.uniform();
    for (int t = 0; t < 400; ++t) {
      for (std::size_t i = 0; i < units.size(); ++i) {
        if (i != factor) units[i] = random.uniform();
      }
      std::array<double, 4> key;
      double squared = 0;
      for (double& x : key) {
        x = random.uniform(-1, 1);
        squared += x * x;
      }
      for (double& x : key) x /= std::sqrt(squared);
      state = advance(state, same_in_every_channel(set.gate(set.values(units)), key));
      double length = 0;
      for (const double s : state.s) length += s * s;
      most = std::max(most, std::sqrt(length));
    }
  }
  EXPECT_LT(most, 1.5);
}

}  // namespace
}  // namespace mdnlab::stability
