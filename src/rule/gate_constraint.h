// How a momentum rule keeps its gates within bounds: the named choices of its option `gate_constraint`, each
// derived in plugins/family/README.md. Here ν is the momentum gate, which scalar decay takes as μ itself and
// channel-wise decay as a factor: μ = ν∘α.
#pragma once

#include <ATen/core/Tensor.h>

#include "config/params.h"
#include "rule/rule.h"

namespace mdnlab {

enum class GateConstraint {
  none,            // β = sigmoid(b)
  paper,           // β ≤ sin²θ and α ≤ cos²θ
  effective_step,  // βη ≤ 1 − ν
  escrow           // certified by a theorem (rule/escrow.h)
};

inline constexpr const char* gate_constraints = "none|paper|effective_step|escrow";

// The choice, for a rule with momentum. Code::usage: paper without decay, which leaves β = 0; min_log_mu with
// escrow; erase_share (an option of delta rules) with anything else.
GateConstraint read_gate_constraint(const Params& options, bool has_delta, bool has_decay);

// β ← β·sin²θ and log α ← log α + log cos²θ, with θ = atan(η·exp(log_factor)).
void couple_to_decay(Coefficients& gates, const at::Tensor& log_factor_H);

// β ← β·(1−ν)/η: a write adds up to β/η times as much as it would without momentum.
void divide_by_reach(Coefficients& gates, const at::Tensor& log_nu_BTH);

}  // namespace mdnlab
