// kda with momentum: M_t = μ_t∘M_{t−1} − η_t k_t (v_t − S_{t−1}ᵀ (α_t∘k_t))ᵀ, S_t = α_t∘S_{t−1} − β_t M_t
// with μ = ν∘α. README.md derives it.
#include "rule/family.h"

namespace {

using namespace mdnlab;

constexpr family::Preset preset{
    .switches = {.delta = true, .momentum = true, .decay = family::Decay::channel},
    .gate_constraint = "escrow",
    .low_rank_output_gate = true};
constexpr FieldTable options = family::options(preset);

}  // namespace

MDNLAB_PLUGIN(family::create<preset>, options, .name = "kda_momentum", .rule_version = 1,
              .summary = "kda with certified momentum", .capabilities = family::capabilities(preset));
