// DeltaNet: S_t = S_{t−1} + β_t k_t (v_t − S_{t−1}ᵀ k_t)ᵀ. README.md derives it.
#include "rule/family.h"

namespace {

using namespace mdnlab;

constexpr family::Preset preset{.switches = {.delta = true}};
constexpr FieldTable options = family::options(preset);

}  // namespace

MDNLAB_PLUGIN(family::create<preset>, options, .name = "deltanet", .rule_version = 1, .summary = "DeltaNet",
              .capabilities = family::capabilities(preset));
