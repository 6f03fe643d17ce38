// Escrow gates: momentum that no sequence of keys and gates can make grow. A write goes to an escrow first
// and is paid into the memory bit by bit, and all of it arrives: with the share ν that stays pending a token
// and the strength u of a write,
//
//     μ = αν      β = (1−ν)/ν      η = νu      p = παk
//     πu ≤ theta·u_max(ν) ,  u_max(ν) = 2c(1−ν²) / ((1+c)(1+cν²)) ,  theta < 1
//
// Then W = ‖S − M‖² + c‖M‖² satisfies W' ≤ max(α)²·W at v = 0, whatever the keys of length ≤ 1
// (plugins/family/README.md proves it). Without delta nothing is erased, every ν will do, and
// u ≤ 1 − max(α) keeps ‖S‖ ≤ max‖v‖.
#pragma once

#include "config/params.h"
#include "ops/gate_formula.h"
#include "rule/initial.h"

namespace mdnlab {

// Sets c, theta, range and shares of a rule whose constraint is escrow: of escrow_c, escrow_theta and
// erase_share, which a rule without delta does not read. range is 1, or what least_nu allows where that is
// less.
void read_escrow(const Params& options, ops::GateRule& rule);

// Of mu_bias: with it ν starts near (1−πu)/(1+πu) in the middle of u and π.
Initial escrow_mu_bias(const ops::GateRule& rule);

}  // namespace mdnlab
