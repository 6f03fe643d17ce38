// The gates of gate_formula.h on tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>

#include "ops/gate_formula.h"

namespace mdnlab::ops {

using GateTensors = std::array<at::Tensor, kGates>;  // by Gate; undefined: the rule does not give it
using GateParameters = std::array<at::Tensor, kGateParameters>;  // by GateParameter, (H)

// Of the projections that the rule uses, side by side in the order of GateProjection, n of them: (B,T,n·H) in
// any floating dtype → (B,T,H) in float32 (float64 from float64). `kept` (B,T,H) as in gates_of, or
// undefined.
GateTensors gates(const GateRule& rule, const at::Tensor& x_BTN, const GateParameters& learned,
                  const at::Tensor& kept = {});

// log α of each channel, −exp(rate_log)·softplus(x + bias): x (B,T,H·K), rate_log (H), bias (H·K) → (B,T,H,K).
at::Tensor channel_decay(const at::Tensor& x_BTC, const at::Tensor& rate_log_H, const at::Tensor& bias_C);

}  // namespace mdnlab::ops
