// η = exp(e) is infinite where e is large.
#include <ATen/ops/exp.h>

#include "sound_gates.h"

namespace {

using namespace mdnlab;

class Faulty final : public SoundGates {
 public:
  using SoundGates::SoundGates;

  Coefficients coefficients(const GateInputs& in) const override {
    Coefficients gates = SoundGates::coefficients(in);
    gates.eta = in["e"].exp();
    return gates;
  }
};

}  // namespace

MDNLAB_PLUGIN(make_layer<Faulty>, no_options, .name = "overflowing_gate", .rule_version = 1,
              .summary = "a gate that overflows", .capabilities = sound_gates_capabilities);
