// The memory of one document goes on into the next.
#include "sound_mixer.h"

namespace {

using namespace mdnlab;

class Faulty final : public SoundMixer {
 public:
  using SoundMixer::SoundMixer;

  ops::Documents scan_documents(const ops::Documents&) const override { return {}; }
};

}  // namespace

MDNLAB_PLUGIN(make_mixer<Faulty>, no_options, .name = "kept_state", .rule_version = 1,
              .summary = "a state that a document's start does not reset",
              .capabilities = {.decay = "scalar"});
