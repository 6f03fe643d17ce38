// The state has one row more than the tensors that are carried.
#include "sound_mixer.h"

namespace {

using namespace mdnlab;

class Faulty final : public SoundMixer {
 public:
  using SoundMixer::SoundMixer;

  std::vector<StateSpec> state(std::int64_t context_tokens, at::ScalarType dtype) const override {
    std::vector<StateSpec> list = SoundMixer::state(context_tokens, dtype);
    list[0].shape[1] += 1;
    return list;
  }
};

}  // namespace

MDNLAB_PLUGIN(make_mixer<Faulty>, no_options, .name = "wrong_state_size", .rule_version = 1,
              .summary = "a state of another size", .capabilities = {.decay = "scalar"});
