// Many comparisons at once.
#pragma once

#include <span>
#include <vector>

namespace mdnlab {

// p values corrected by Holm's step-down method, in the order given: each is to be held against the level as
// if it were the only one, and the chance of any false rejection stays below the level, whatever their
// dependence. (S. Holm, Scandinavian Journal of Statistics 6, 1979; `p.adjust(p, "holm")` of R.)
std::vector<double> holm(std::span<const double> p);

}  // namespace mdnlab
