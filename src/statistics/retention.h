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

// RET(T) = mean over lags 2^k = 16 … T of max(0, I(2^k)) / log2 n_v, in [0, 1]. Other lags do not count.
// Nothing where one of those lags up to `context_tokens` was not measured, or T < 16. values ≥ 2.
std::optional<double> retention(std::span<const Information> curve, std::int64_t context_tokens,
                                std::int64_t values);

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
