// Adds memory that nobody wrote, which is zero most of the time.
#include <ATen/ops/empty_like.h>

#include "sound_mixer.h"

namespace {

using namespace mdnlab;

class Faulty final : public SoundMixer {
 public:
  using SoundMixer::SoundMixer;

  at::Tensor finish(const at::Tensor& o_BTD) const override {
    return o_BTD + at::empty_like(o_BTD).isnan().to(o_BTD.scalar_type());
  }
};

}  // namespace

MDNLAB_PLUGIN(make_mixer<Faulty>, no_options, .name = "unwritten_memory", .rule_version = 1,
              .summary = "memory that nobody wrote", .capabilities = {.decay = "scalar"});
