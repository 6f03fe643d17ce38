// μ passes through bf16, whatever the layer's dtype.
#include "sound_gates.h"

namespace {

using namespace mdnlab;

class Faulty final : public SoundGates {
 public:
  using SoundGates::SoundGates;

  Coefficients coefficients(const GateInputs& in) const override {
    Coefficients gates = SoundGates::coefficients(in);
    gates.log_mu = gates.log_mu.to(at::kBFloat16).to(gates.beta.scalar_type());
    return gates;
  }
};

}  // namespace

MDNLAB_PLUGIN(make_layer<Faulty>, no_options, .name = "rounded_gate", .rule_version = 1,
              .summary = "a gate rounded to bf16", .capabilities = sound_gates_capabilities);
