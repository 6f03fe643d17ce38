// The layer that all coefficient rules share:
//
//   x → q, k, v projections → short convolution + silu → (output correction) → L2 norm per head, q·K^−½
//     → scan with the rule's coefficients → RMSNorm per head · gate(g) → o projection
#pragma once

#include <memory>

#include "rule/coefficients.h"

namespace mdnlab {

// Shapes that cannot be (widths that are not whole) are Code::usage.
std::unique_ptr<Rule> linear_mixer(const LayerShape& shape, std::unique_ptr<CoefficientRule> rule);

}  // namespace mdnlab
