// The taps of a document's first tokens reach into the one before.
#include "sound_mixer.h"

namespace {

using namespace mdnlab;

class Faulty final : public SoundMixer {
 public:
  using SoundMixer::SoundMixer;

  ops::Documents convolution_documents(const ops::Documents&) const override { return {}; }
};

}  // namespace

MDNLAB_PLUGIN(make_mixer<Faulty>, no_options, .name = "leaking_convolution", .rule_version = 1,
              .summary = "a convolution across documents", .capabilities = {.decay = "scalar"});
