// The recurrence of scan/chunk.h once more, in plain doubles and plain loops: a judge that shares no code
// with the scan. Shape letters as there, with G = H.
#pragma once

#include <vector>

#include "check/rule_recurrence.h"
#include "interop/safetensors.h"

namespace mdnlab {

struct LoopResult {
  std::vector<double> o, final_S, final_M;  // in the order of (B,T,H,V) and (N,H,K,V)
};

// `tensors` are float64, named as in check/given_tensors.h.
LoopResult token_loop(const RuleRecurrence& recurrence, const TensorMap& tensors);

}  // namespace mdnlab
