// Kimi Delta Attention: S_t = α_t∘S_{t−1} + β_t k_t (v_t − S_{t−1}ᵀ (α_t∘k_t))ᵀ with α_t a vector over the
// key channels. README.md derives it.
#include "rule/family.h"

namespace {

using namespace mdnlab;

constexpr family::Preset preset{.switches = {.delta = true, .decay = family::Decay::channel},
                                .low_rank_output_gate = true};
constexpr FieldTable options = family::options(preset);

}  // namespace

MDNLAB_PLUGIN(family::create<preset>, options, .name = "kda", .rule_version = 1,
              .summary = "Kimi Delta Attention", .capabilities = family::capabilities(preset));
