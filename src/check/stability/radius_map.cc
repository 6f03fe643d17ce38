#include "check/stability/radius_map.h"

#include <cmath>

#include "check/stability/pointwise.h"

namespace mdnlab::stability {

namespace {

constexpr double most_step = 4.4;  // a little beyond 2(1+μ) at α = μ = 1
constexpr double rounding = 1e-9;

double coordinate(Axis axis, const Gate& gate) {
  switch (axis) {
    case Axis::step: return gate.step();
    case Axis::alpha: return gate.alpha;
    case Axis::mu: break;
  }
  return gate.mu;
}

}  // namespace

Gate RadiusMap::gate(double at_x, double at_y) const {
  Gate gate{.alpha = alpha, .mu = 0, .beta = 0};
  for (const auto& [axis, value] : {std::pair(x, at_x), std::pair(y, at_y)}) {
    (axis == Axis::step ? gate.beta : axis == Axis::alpha ? gate.alpha : gate.mu) = value;
  }
  return gate;
}

std::pair<double, double> RadiusMap::place(const Gate& gate) const {
  return {coordinate(x, gate), coordinate(y, gate)};
}

RadiusMap radius_map(const GateSet& set, double alpha, std::int64_t cells) {
  RadiusMap map{.alpha = alpha, .cells = cells};
  map.x = set.has_delta || !set.has_momentum ? Axis::step : Axis::alpha;
  map.y = set.has_momentum ? Axis::mu : Axis::alpha;
  map.most_x = map.x == Axis::step ? most_step : 1;
  std::vector<Gate> gates;
  for (std::int64_t row = 0; row < cells; ++row) {
    for (std::int64_t column = 0; column < cells; ++column) {
      const double unit = 1.0 / static_cast<double>(cells);
      Gate gate = map.gate(map.most_x * (static_cast<double>(column) + 0.5) * unit,
                           (static_cast<double>(row) + 0.5) * unit);
      if (!set.has_delta) gate.erase = 0;
      gates.push_back(gate);
    }
  }
  map.radius = radii(gates);
  for (std::size_t i = 0; i < gates.size(); ++i) {
    if (std::abs(map.radius[i] - 1) < rounding) continue;
    const bool is_stable = gates[i].step() <= most_step_one_key(gates[i].alpha, gates[i].mu);
    ++map.compared;
    map.agreeing += is_stable == (map.radius[i] < 1);
  }
  return map;
}

}  // namespace mdnlab::stability
