// What the gates of a trained layer do on given inputs, head by head, in the terms of the stability analysis
// (recurrences.md, the end of section 5).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "check/stability/step.h"
#include "rule/coefficients.h"

namespace mdnlab::stability {

inline constexpr double quantile_points[] = {0.05, 0.25, 0.5, 0.75, 0.95};

struct Distribution {
  const char* name;
  const char* meaning;
  std::vector<double> quantiles;  // at quantile_points; infinite where the quantity is
};

struct HeadReport {
  std::int64_t layer = 0, head = 0;
  std::int64_t gates = 0;  // tokens, times channels where the decay is channel-wise
  std::vector<Distribution> distributions;
  double share_uncertified = 0;  // of gates with ρ > 1, or ν ≥ 1
  double share_complex = 0;      // of gates with a complex pair of eigenvalues

  const Distribution& of(std::string_view name) const;  // unknown: std::logic_error
};

// alpha, mu, beta, eta (times π); nu = μ/α; u = βη/(1−ν), the write strength; gamma = βν/(1−ν);
// rho = u(1+ν)/(2(1−ν)); decay_half_life and momentum_half_life in tokens. u, gamma and rho are infinite from
// ν = 1 on.
HeadReport report_head(std::int64_t layer, std::int64_t head, const std::vector<Gate>& gates);

// The gates of each head, over all rows, tokens and channels.
std::vector<std::vector<Gate>> gates_by_head(const Coefficients& coefficients);

}  // namespace mdnlab::stability
