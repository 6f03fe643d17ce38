// Delta + momentum, no decay: M_t = μ_t M_{t−1} − η_t k_t (v_t − S_{t−1}ᵀk_t)ᵀ, S_t = S_{t−1} − β_t M_t.
// README.md derives it.
#include "rule/family.h"

namespace {

using namespace mdnlab;

constexpr family::Preset preset{.switches = {.delta = true, .momentum = true}};
constexpr FieldTable options = family::options(preset);

}  // namespace

MDNLAB_PLUGIN(family::create<preset>, options, .name = "delta_momentum", .rule_version = 1,
              .summary = "delta rule with momentum, no decay", .capabilities = family::capabilities(preset));
