// It decays, and declares that it does not.
#include "sound_gates.h"

using namespace mdnlab;

MDNLAB_PLUGIN(make_layer<SoundGates>, no_options, .name = "undeclared_decay", .rule_version = 1,
              .summary = "a decay that is not declared", .capabilities = {.delta = true, .momentum = true});
