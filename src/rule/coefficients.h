// A coefficient rule: from the layer's gate projections it gives the scan's coefficients. The shared layer
// around it (rule/linear_mixer.h) and the scan come for free. Most rules are one of these.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ops/gates.h"
#include "rule/rule.h"
#include "rule/shell.h"

namespace mdnlab {

// What the rule asks of the shared layer.
struct LayerNeeds {
  std::vector<std::string> gates;  // hidden → heads: "a" makes a_proj.weight
  // hidden → V → heads · key width, in low rank: "f" makes f_proj.0.weight and f_proj.1.weight
  std::vector<std::string> channel_gates;
  bool has_delta = false;
  bool has_momentum = false;
  Shell shell;
};

// The gate projections, and the learned parameters.
struct GateInputs {
  // Of `gates`, side by side in that order, and of `channel_gates`, (B,T,gates·H) and (B,T,H·K) each, in the
  // compute dtype: for ops/gates.h.
  at::Tensor together;
  std::vector<at::Tensor> of_channels;
  const LayerNeeds& needs;
  std::int64_t heads;
  const Weights& weights;

  // By name: (B,T,H), of channel_gates (B,T,H,K), in float32 (float64 in a float64 model). Unknown:
  // std::logic_error.
  at::Tensor operator[](std::string_view name) const;
};

// Gates that are those of ops/gates.h on LayerNeeds::gates, and with a channel-wise decay on the first of
// channel_gates.
struct GateFormula {
  ops::GateRule rule;
  ops::GateParameters learned;
  at::Tensor rate_log, bias;  // of channel_decay(); undefined: no channels
  double look_ahead = 0;

  // Whether escrow asks for the largest α of a head's channels: there is no delta.
  bool keeps_largest_alpha() const { return rate_log.defined() && rule.is_escrow() && !rule.has_delta; }
};

// Gives its formula, by which decoding is one kernel, or its coefficients.
class CoefficientRule {
 public:
  virtual ~CoefficientRule();
  virtual LayerNeeds needs() const = 0;
  virtual std::vector<ParameterSpec> gate_parameters() const = 0;  // without the projections
  virtual std::optional<GateFormula> formula(const Weights& weights) const;
  virtual Coefficients coefficients(const GateInputs& inputs) const;  // those of the formula
};

}  // namespace mdnlab
