// Gated DeltaNet: S_t = α_t S_{t−1} + β_t k_t (v_t − α_t S_{t−1}ᵀ k_t)ᵀ. README.md derives it.
#include "rule/family.h"

namespace {

using namespace mdnlab;

constexpr family::Preset preset{.switches = {.delta = true, .decay = family::Decay::scalar},
                                .shell = {.output_gate = "silu"}};
constexpr FieldTable options = family::options(preset);

}  // namespace

MDNLAB_PLUGIN(family::create<preset>, options, .name = "gated_deltanet", .rule_version = 1,
              .summary = "Gated DeltaNet", .capabilities = family::capabilities(preset));
