// The spectral radius of one token along its own key over a grid of gates, computed by eigenvalues and held
// against the closed form.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "check/stability/gate_set.h"

namespace mdnlab::stability {

// What the axes are follows from the rule: βη × μ at a fixed α; without momentum βη × α; without delta,
// where the step has no part in it, α × μ.
enum class Axis { step, alpha, mu };

struct RadiusMap {
  Axis x = Axis::step, y = Axis::mu;
  double alpha = 1;            // where it is no axis
  double most_x = 1;           // axes start at 0; y ends at 1
  std::int64_t cells = 0;      // a side
  std::vector<double> radius;  // row by row from y = 0, at the cells' centres

  std::int64_t compared = 0;  // cells where the radius is not 1 by rounding
  std::int64_t agreeing = 0;  // of these, with the closed form: radius ≤ 1 ⇔ αβη ≤ (1+α)(1+μ)

  Gate gate(double x, double y) const;  // η = 1
  // Where a gate lies: its x and y, whatever its α.
  std::pair<double, double> place(const Gate& gate) const;
};

RadiusMap radius_map(const GateSet& set, double alpha, std::int64_t cells);

}  // namespace mdnlab::stability
