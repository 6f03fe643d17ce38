// α = exp(+softplus): the log-gate has the wrong sign.
#include "sound_gates.h"

namespace {

using namespace mdnlab;

class Faulty final : public SoundGates {
 public:
  using SoundGates::SoundGates;

  Coefficients coefficients(const GateInputs& in) const override {
    Coefficients gates = SoundGates::coefficients(in);
    gates.log_alpha = -0.1 * gates.log_alpha;
    return gates;
  }
};

}  // namespace

MDNLAB_PLUGIN(make_layer<Faulty>, no_options, .name = "growing_gate", .rule_version = 1,
              .summary = "a decay above one", .capabilities = sound_gates_capabilities);
