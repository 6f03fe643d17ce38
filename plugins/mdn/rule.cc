// Momentum DeltaNet: M_t = μ_t M_{t−1} − η_t k_t (v_t − α_t S_{t−1}ᵀk_t)ᵀ, S_t = α_t S_{t−1} − β_t M_t.
// README.md derives it.
#include "rule/family.h"

namespace {

using namespace mdnlab;

constexpr family::Preset preset{.switches = {.delta = true, .momentum = true, .decay = family::Decay::scalar},
                                .gate_constraint = "paper",
                                .shell = {.output_correction = "true"},
                                .floors_eta = false};
constexpr FieldTable options = family::options(preset);

}  // namespace

MDNLAB_PLUGIN(family::create<preset>, options, .name = "mdn", .rule_version = 1,
              .summary = "Momentum DeltaNet", .capabilities = family::capabilities(preset));
