// The state through the chunks of every document, one after another: the only part that is sequential in
// time.
#pragma once

#include "scan/batched/operands.h"

namespace mdnlab::scan::batched {

// The state X = [S; M] of every document and head, [N·H,Z,V] in the order of packing.h.
struct Walk {
  at::Tensor o_ECV;
  at::Tensor w_ECV;       // residuals; v itself without delta
  at::Tensor states;      // [E,Z,V], the state before each chunk; undefined unless `keep_states`
  at::Tensor last_state;  // [N·H,Z,V]
};
Walk walk(const Operands& operands, const std::vector<Step>& steps, const at::Tensor& v_ECV,
          const at::Tensor& first_state, bool keep_states);

// Backward of it, last chunk first (recurrences.md, section 3).
struct WalkAdjoint {
  Operands operands;  // as adjoint_of_operands() takes them
  at::Tensor v_ECV;
  at::Tensor first_state;
};
WalkAdjoint adjoint_of_walk(const Operands& operands, const std::vector<Step>& steps, const at::Tensor& w_ECV,
                            const at::Tensor& states, const at::Tensor& d_o_ECV,
                            const at::Tensor& d_last_state);

}  // namespace mdnlab::scan::batched
