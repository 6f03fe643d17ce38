// Every cell of delta × momentum × decay in one layer. README.md derives them.
#include "rule/family.h"

namespace {

using namespace mdnlab;
using family::Decay;

// The cell with everything has all options.
constexpr family::Preset whole{.switches = {.delta = true, .momentum = true, .decay = Decay::channel}};

constexpr FieldTable options = [] {
  FieldTable table;
  table.add({.name = "delta",
             .type = Type::boolean,
             .preset = "true",
             .doc = "write what the memory got wrong, not the value itself"});
  table.add({.name = "momentum",
             .type = Type::boolean,
             .preset = "true",
             .doc = "write through a velocity M; false: no effect of gate_constraint to look_ahead"});
  table.add({.name = "decay",
             .type = Type::text,
             .preset = "scalar",
             .doc = "α = 1, one α a head, or one a head and key channel",
             .choices = "none|scalar|channel"});
  const FieldTable gates = family::options(whole);
  table.add({gates.data(), gates.size()});
  return table;
}();

std::unique_ptr<Rule> create(const Params& params, const LayerShape& shape) {
  const std::string& decay = params.text("decay");
  return family::layer({.switches = {.delta = params.boolean("delta"),
                                     .momentum = params.boolean("momentum"),
                                     .decay = decay == "none"     ? Decay::none
                                              : decay == "scalar" ? Decay::scalar
                                                                  : Decay::channel}},
                       params, shape);
}

}  // namespace

MDNLAB_PLUGIN(create, options, .name = "family", .rule_version = 1,
              .summary = "every cell, chosen by switches", .capabilities = family::capabilities(whole));
