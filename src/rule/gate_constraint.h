// How a momentum rule keeps its gates within bounds: the named choices of its option `gate_constraint`, each
// derived in plugins/family/README.md, computed in ops/gate_formula.h.
#pragma once

#include "config/params.h"
#include "ops/gate_formula.h"

namespace mdnlab {

using ops::GateConstraint;

inline constexpr const char* gate_constraints = "none|paper|effective_step|escrow";

// The choice, for a rule with momentum. Code::usage: paper without decay, which leaves β = 0; min_log_mu with
// escrow; erase_share (an option of delta rules) with anything else.
GateConstraint read_gate_constraint(const Params& options, bool has_delta, bool has_decay);

}  // namespace mdnlab
