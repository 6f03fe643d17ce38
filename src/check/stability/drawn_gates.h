// The gates of a rule that nobody has described: drawn from a layer of it.
#pragma once

#include <cstdint>
#include <optional>

#include "check/stability/gate_set.h"

namespace mdnlab::stability {

// Gates that a layer with its initial values makes of random inputs, from a tenth to a hundred times the
// usual size, as a set with one free variable, "draw", which numbers them by their step. Nothing is reached
// that was not drawn, so a growth that is found is real, and one that is not found is no proof. Channel-wise
// gates are taken channel by channel, each as one for all channels. Nothing: the rule has no coefficients.
std::optional<GateSet> drawn_gates(const Plugin& plugin, const Params& options, std::uint64_t seed);

}  // namespace mdnlab::stability
