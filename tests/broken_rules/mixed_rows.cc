// Sequences of a batch see each other.
#include "sound_mixer.h"

namespace {

using namespace mdnlab;

class Faulty final : public SoundMixer {
 public:
  using SoundMixer::SoundMixer;

  at::Tensor finish(const at::Tensor& o_BTD) const override { return o_BTD - 1e-3 * o_BTD.mean(0, true); }
};

}  // namespace

MDNLAB_PLUGIN(make_mixer<Faulty>, no_options, .name = "mixed_rows", .rule_version = 1,
              .summary = "rows of a batch that mix", .capabilities = {.decay = "scalar"});
