// β_t is that of token t + 1.
#include <ATen/ops/roll.h>

#include "sound_gates.h"

namespace {

using namespace mdnlab;

class Faulty final : public SoundGates {
 public:
  using SoundGates::SoundGates;

  Coefficients coefficients(const GateInputs& in) const override {
    Coefficients gates = SoundGates::coefficients(in);
    gates.beta = gates.beta.roll(-1, 1);
    return gates;
  }
};

}  // namespace

MDNLAB_PLUGIN(make_layer<Faulty>, no_options, .name = "future_leak", .rule_version = 1,
              .summary = "a step that looks one token ahead", .capabilities = sound_gates_capabilities);
