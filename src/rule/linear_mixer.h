// The layer that all coefficient rules share:
//
//   x → q, k, v projections → short convolution + silu → (output correction) → L2 norm per head, q·K^−½
//     → scan with the rule's coefficients → RMSNorm per head · gate(g) → o projection
//
// What of it is there, and with how many heads, is for the rule's Shell to say (rule/shell.h).
#pragma once

#include <memory>

#include "config/params.h"
#include "rule/coefficients.h"

namespace mdnlab {

// Shapes that cannot be (widths that are not whole) are Code::usage.
std::unique_ptr<Rule> linear_mixer(const LayerShape& shape, std::unique_ptr<CoefficientRule> rule);

// The factory of a coefficient rule that is made from its options and the shape, for MDNLAB_PLUGIN.
template <class RuleType>
std::unique_ptr<Rule> make_layer(const Params& options, const LayerShape& shape) {
  return linear_mixer(shape, std::make_unique<RuleType>(options, shape));
}

}  // namespace mdnlab
