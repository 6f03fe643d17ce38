// A radius map as a picture: colours for the computed radius, lines for the closed forms.
#pragma once

#include <string>
#include <vector>

#include "check/stability/radius_map.h"

namespace mdnlab::stability {

// One SVG document, light background. `gates` are drawn as points, e.g. the tokens of a checkpoint; those
// beyond the axes are left out and counted in the legend.
std::string map_svg(const GateSet& set, const RadiusMap& map, const std::vector<Gate>& gates = {});

}  // namespace mdnlab::stability
