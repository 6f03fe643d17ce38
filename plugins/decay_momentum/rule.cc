// Decay + momentum, no delta: M_t = μ_t M_{t−1} − k_t v_tᵀ, S_t = α_t S_{t−1} − β_t M_t. README.md derives
// it.
#include "rule/family.h"

namespace {

using namespace mdnlab;

constexpr family::Preset preset{.switches = {.momentum = true, .decay = family::Decay::scalar}};
constexpr FieldTable options = family::options(preset);

}  // namespace

MDNLAB_PLUGIN(family::create<preset>, options, .name = "decay_momentum", .rule_version = 1,
              .summary = "decay with momentum, no delta", .capabilities = family::capabilities(preset));
