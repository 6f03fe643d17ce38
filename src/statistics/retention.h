// The headline: how much of what was written g tokens ago can still be told.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace mdnlab {

// I(g): bits recovered of one of n_v equiprobable values that was written `lag` tokens before.
struct Information {
  std::int64_t lag = 0;
  double bits = 0;
};

// RET(T) is the mean over lags 2^k = 16 … T of each one's share: max(0, I)/log2 n_v, in [0, 1]; values ≥ 2.
double retained_share(double bits, std::int64_t values);

// The furthest T that RET can be told for: every lag 16, 32, … T was measured. 0 where not even 16 was. Any
// order.
std::int64_t furthest_lag(std::span<const Information> curve);

struct HalfLife {
  double lag = 0;
  bool is_censored = false;  // I never fell that far: the half-life is above the longest lag, which `lag` is
};

// The first lag with I(g) ≤ I(shortest lag)/2, linear in log2 g between the measured lags around it. Lags
// ascend. Nothing where I is not above 0 at the shortest lag: there is nothing to lose.
std::optional<HalfLife> half_life(std::span<const Information> curve);

struct AtState {
  double state_bytes = 0;  // above 0
  double value = 0;
};

// The value at a state size, linear in log2(state bytes) between the measured sizes around it. Nothing
// outside of them: a curve is not continued. Sizes ascend, each once.
std::optional<double> at_state(std::span<const AtState> points, double state_bytes);

}  // namespace mdnlab
