// What is carried is right in value and a constant to autograd.
#include "sound_mixer.h"

namespace {

using namespace mdnlab;

class Faulty final : public SoundMixer {
 public:
  using SoundMixer::SoundMixer;

  at::Tensor forward(const at::Tensor& x_BTD, const Weights& weights, const ops::Documents& documents,
                     LayerState* state) const override {
    const at::Tensor y = SoundMixer::forward(x_BTD, weights, documents, state);
    if (state) {
      for (at::Tensor& tensor : state->tensors) tensor = tensor.detach();
    }
    return y;
  }
};

}  // namespace

MDNLAB_PLUGIN(make_mixer<Faulty>, no_options, .name = "detached_state", .rule_version = 1,
              .summary = "a state that passes no gradient on", .capabilities = {.decay = "scalar"});
