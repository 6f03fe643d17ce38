// Never the same twice.
#include <ATen/ops/rand_like.h>

#include "sound_mixer.h"

namespace {

using namespace mdnlab;

class Faulty final : public SoundMixer {
 public:
  using SoundMixer::SoundMixer;

  at::Tensor finish(const at::Tensor& o_BTD) const override {
    return o_BTD * (1 + 1e-15 * at::rand_like(o_BTD));
  }
};

}  // namespace

MDNLAB_PLUGIN(make_mixer<Faulty>, no_options, .name = "noisy", .rule_version = 1,
              .summary = "noise in the output", .capabilities = {.decay = "scalar"});
