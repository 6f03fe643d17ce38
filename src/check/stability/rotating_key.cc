#include "check/stability/rotating_key.h"

#include <algorithm>
#include <cmath>

#include "check/stability/plane.h"
#include "check/stability/search.h"

namespace mdnlab::stability {

namespace {

constexpr int scanned = 256, refinements = 6, refined = 16;

double angle_of(double unit) { return least_angle * std::pow(most_angle / least_angle, unit); }

Matrix turned_step(const Gate& gate, double angle) {
  return turned(step_matrix(same_in_every_channel<2>(gate, {1, 0})), angle);
}

// The best of `count` angles evenly in [low, high], units of angle_of.
std::pair<double, Turning> best_of(const Gate& gate, double low, double high, int count) {
  std::pair<double, Turning> best;
  for (int i = 0; i < count; ++i) {
    const double unit = low + (high - low) * i / (count - 1), angle = angle_of(unit),
                 growth = growth_of(turned_step(gate, angle));
    if (growth > best.second.growth) best = {unit, {growth, angle}};
  }
  return best;
}

}  // namespace

Turning worst_angle(const Gate& gate) {
  auto [unit, best] = best_of(gate, 0, 1, scanned);
  double reach = 1.0 / scanned;
  for (int i = 0; i < refinements; ++i, reach *= 2.0 / refined) {
    const auto [finer, found] =
        best_of(gate, std::max(unit - reach, 0.0), std::min(unit + reach, 1.0), refined);
    if (found.growth > best.growth) std::tie(unit, best) = std::pair(finer, found);
  }
  return best;
}

Constant worst_constant(const GateSet& set, std::uint64_t seed) {
  const std::size_t variables = set.variables.size();
  const Best best = maximize({.dimensions = variables + 1, .seed = seed}, [&](const Point& point) {
    const Gate gate = set.gate(set.values(std::span(point).first(variables)));
    return growth_of(turned_step(gate, angle_of(point.back())));
  });
  Constant worst{.values = set.values(std::span(best.point).first(variables))};
  worst.gate = set.gate(worst.values);
  worst.turning = worst_angle(worst.gate);
  return worst;
}

Constant constant_at(const GateSet& set, const Probe& probe) {
  Constant at;
  for (const Variable& variable : set.variables) at.values.push_back(variable.high);
  for (const auto& [name, value] : probe) at.values[set.index(name)] = value;
  at.gate = set.gate(at.values);
  at.turning = worst_angle(at.gate);
  return at;
}

}  // namespace mdnlab::stability
