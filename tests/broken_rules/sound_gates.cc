#include "sound_gates.h"

using namespace mdnlab;

MDNLAB_PLUGIN(make_layer<SoundGates>, no_options, .name = "sound_gates", .rule_version = 1,
              .summary = "nothing is wrong", .capabilities = sound_gates_capabilities);
