#include "sound_mixer.h"

using namespace mdnlab;

MDNLAB_PLUGIN(make_mixer<SoundMixer>, no_options, .name = "sound_mixer", .rule_version = 1,
              .summary = "nothing is wrong", .capabilities = {.decay = "scalar"});
