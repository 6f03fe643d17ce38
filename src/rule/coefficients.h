// A coefficient rule: from the layer's gate projections it gives the scan's coefficients. The shared layer
// around it (rule/linear_mixer.h) and the scan come for free. Most rules are one of these.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>
#include <vector>

#include "rule/rule.h"

namespace mdnlab {

enum class OutputGate { silu, sigmoid };

// What the rule asks of the shared layer.
struct LayerNeeds {
  std::vector<std::string> gates;  // names of hidden → heads projections: "a" makes a_proj.weight
  OutputGate output_gate = OutputGate::sigmoid;
  bool has_delta = false;
  bool has_momentum = false;
  bool output_correction = false;  // q ← q − exp(D_log)·k before normalisation
};

// The gate projections by name, each (B,T,H) in float32 (float64 in a float64 model), and the learned
// parameters.
struct GateInputs {
  Weights projections;
  const Weights& weights;

  const at::Tensor& operator[](std::string_view name) const { return projections[name]; }
};

class CoefficientRule {
 public:
  virtual ~CoefficientRule();
  virtual LayerNeeds needs() const = 0;
  virtual std::vector<ParameterSpec> gate_parameters() const = 0;  // without the projections
  virtual Coefficients coefficients(const GateInputs& inputs) const = 0;
};

}  // namespace mdnlab
