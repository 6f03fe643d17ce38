// The recurrence token by token, as written in chunk.h: the judge of every faster form, and its baseline.
#pragma once

#include "scan/chunk.h"

namespace mdnlab::scan {

// The recurrence in the inputs' own dtype (states and gates as given), differentiable by plain autograd.
// Always returns the final states. reference() is this after a conversion of everything to float64.
Outputs loop(const Inputs& inputs);

}  // namespace mdnlab::scan
