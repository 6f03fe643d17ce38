#include "rule/escrow.h"

#include <algorithm>
#include <cmath>

namespace mdnlab {

void read_escrow(const Params& options, ops::GateRule& rule) {
  rule.range = 1;
  if (!rule.has_delta) return;
  rule.shares = options.boolean("erase_share");
  rule.c = options.real("escrow_c");
  rule.theta = options.real("escrow_theta");
  const double square = ops::GateRule::least_nu * ops::GateRule::least_nu;
  rule.range = std::min(1.0, 2 * rule.c * (1 - square) / ((1 + rule.c) * (1 + rule.c * square)));
}

Initial escrow_mu_bias(const ops::GateRule& rule) {
  const double x = rule.range / 2 * (rule.shares ? 0.5 : 1), erased = rule.has_delta ? rule.theta * x : x;
  const double most = rule.has_delta ? ops::most_nu(rule.c, x) : 1;
  const double share = std::min((1 - erased) / (1 + erased) / most, 0.95);
  return {.kind = Initial::Kind::constant, .a = std::log(share / (1 - share))};
}

}  // namespace mdnlab
