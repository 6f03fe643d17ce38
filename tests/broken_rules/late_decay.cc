// α_t is the decay of token t − 1, which a call that starts at t does not know.
#include <ATen/ops/roll.h>

#include "sound_gates.h"

namespace {

using namespace mdnlab;

class Faulty final : public SoundGates {
 public:
  using SoundGates::SoundGates;

  Coefficients coefficients(const GateInputs& in) const override {
    Coefficients gates = SoundGates::coefficients(in);
    gates.log_alpha = gates.log_alpha.roll(1, 1);
    return gates;
  }
};

}  // namespace

MDNLAB_PLUGIN(make_layer<Faulty>, no_options, .name = "late_decay", .rule_version = 1,
              .summary = "a decay that is one step late", .capabilities = sound_gates_capabilities);
