// η is right in value and a constant to autograd.
#include "sound_gates.h"

namespace {

using namespace mdnlab;

class Faulty final : public SoundGates {
 public:
  using SoundGates::SoundGates;

  Coefficients coefficients(const GateInputs& in) const override {
    Coefficients gates = SoundGates::coefficients(in);
    gates.eta = gates.eta.detach();
    return gates;
  }
};

}  // namespace

MDNLAB_PLUGIN(make_layer<Faulty>, no_options, .name = "dropped_eta_gradient", .rule_version = 1,
              .summary = "the gradient of eta is dropped", .capabilities = sound_gates_capabilities);
