// Constant gates under a key that turns by a fixed angle each token. In the frame that turns with the key
// the step is one constant 4×4 matrix on (s, m) in the key's plane, and its spectral radius is the growth a
// token.
#pragma once

#include <cstdint>

#include "check/stability/gate_set.h"

namespace mdnlab::stability {

inline constexpr double least_angle = 1e-3, most_angle = 3.14159265358979323846;  // of a turn, radians

struct Turning {
  double growth = 0;  // a token
  double angle = 0;   // of a turn
};

// The worst angle in [least_angle, most_angle]: a scan, refined around its maximum.
Turning worst_angle(const Gate& gate);

// The worst constant gates of a set with their worst angle. A channel-wise decay is the same in every
// channel here.
struct Constant {
  std::vector<double> values;  // of the set's variables
  Gate gate;
  Turning turning;
};
Constant worst_constant(const GateSet& set, std::uint64_t seed);
Constant constant_at(const GateSet& set, const Probe& probe);

}  // namespace mdnlab::stability
