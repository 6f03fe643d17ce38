// The convolution starts anew with every call.
#include "sound_mixer.h"

namespace {

using namespace mdnlab;

class Faulty final : public SoundMixer {
 public:
  using SoundMixer::SoundMixer;

  at::Tensor forward(const at::Tensor& x_BTD, const Weights& weights, const ops::Documents& documents,
                     LayerState* state) const override {
    if (state && !state->tensors.empty()) state->tensors[1].zero_();
    return SoundMixer::forward(x_BTD, weights, documents, state);
  }
};

}  // namespace

MDNLAB_PLUGIN(make_mixer<Faulty>, no_options, .name = "forgotten_convolution", .rule_version = 1,
              .summary = "a convolution that is not carried", .capabilities = {.decay = "scalar"});
