// The worst growth that gates of a set and keys of one's choice can make.
//
// The search is over periods: P tokens with gates and key angles of their own, repeated for ever, the whole
// pattern turning by a fixed angle from one period to the next. Channel-wise decay is tried with channels alike,
// and with channels apart, where nothing turns from period to period, since the channels are axes. Growth is
// exact, the P-th root of a product's spectral radius, so what is found is reached; and no sequence of the set
// grows faster than what long enough periods reach (Berger and Wang, Bounded semigroups of matrices, 1992).
#pragma once

#include <cstdint>

#include "check/stability/gate_set.h"
#include "check/stability/rotating_key.h"

namespace mdnlab::stability {

struct Attack {
  double growth = 0;             // a token
  std::vector<Token<2>> period;  // with their keys in the first period
  std::vector<Gate> gates;       // of the first channel
  double turn = 0;               // radians from one period to the next
  bool channels_apart = false;   // the second channel's decay is not the first's

  Token<2> token(std::int64_t index) const;  // from 0, in any period
};

// The best of periods 1 … most_period, each from `start` and from random points.
Attack worst_attack(const GateSet& set, const Constant& start, int most_period, std::uint64_t seed);

// What the attack does to the memory: S_0 of length 1 in the worst of a few directions, M_0 = 0, from the
// worst token of the period on (another might forget S_0 before anything is in M).
struct Moment {
  std::int64_t token = 0;  // from 1
  Gate gate;
  double key_angle = 0;     // radians
  double log_memory = 0;    // ln ‖S‖
  double log_velocity = 0;  // ln ‖M‖; −infinity where M = 0
};
std::vector<Moment> trajectory(const Attack& attack, std::int64_t tokens);

}  // namespace mdnlab::stability
