// Choices by the bytes of state that they have, so that a panel compares equals.
#pragma once

#include <vector>

#include "report/results.h"

namespace mdnlab {

struct StateSize {
  std::int64_t least = 0, most = 0;  // bytes: of the choices in it; both 0 where nothing says
  std::vector<const Choice*> choices;

  std::string words() const;  // "64.0 to 68.5 KiB of state"
};

// Sizes within a fifth of the least are one: rules differ by their convolutions' caches and what they keep
// beside the memory. First the size that most rules have (of several the nearest to 64 KiB), then the others
// from small to large. Attention is in none, for it is the ceiling at the state of its cache; alone, it is in
// its own.
std::vector<StateSize> state_sizes(const std::vector<const Choice*>& choices);

// Attention's choice whose state is nearest to a size; null where there is none, or it is in that size
// itself.
const Choice* ceiling_beside(const StateSize& size, const std::vector<const Choice*>& choices);

}  // namespace mdnlab
