#include "rule/gate_constraint.h"

namespace mdnlab {

GateConstraint read_gate_constraint(const Params& options, bool has_delta, bool has_decay) {
  const std::string& name = options.text("gate_constraint");
  const bool certified = name == "escrow";
  if (name == "paper" && !has_decay) {
    throw options.error("gate_constraint",
                        "gate_constraint paper ties β to the decay: with α = cos²θ = 1, β = sin²θ = 0",
                        "effective_step, escrow or none");
  }
  if (certified && options.is_set("min_log_mu")) {
    throw options.error(
        "min_log_mu", "gate_constraint escrow has no place for min_log_mu: its ν is at least 0.01", "unset");
  }
  if (!certified && has_delta && options.boolean("erase_share")) {
    throw options.error("erase_share", "erase_share belongs to gate_constraint escrow", "false",
                        "gate_constraint is " + name);
  }
  if (certified) return GateConstraint::escrow;
  if (name == "paper") return GateConstraint::paper;
  return name == "none" ? GateConstraint::none : GateConstraint::effective_step;
}

}  // namespace mdnlab
