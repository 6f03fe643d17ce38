// I(g): bits recovered of what was written g tokens before, by rule.
#pragma once

#include "report/results.h"
#include "report/section.h"

namespace mdnlab {

// Of the choices of one sweep: for each size of state a panel for each number of writes in between, so that
// no panel compares rules of different states. The table has every choice; empty: nothing was asked.
Figure information_figure(const Results& results, const std::vector<const Choice*>& choices,
                          std::size_t number);

}  // namespace mdnlab
