// Softmax attention over the last `window` tokens. README.md has the formulas.
#include "config/field_table.h"
#include "rule/abi.h"
#include "rule/softmax_attention.h"

namespace {

using namespace mdnlab;

constexpr FieldTable fields = [] {
  FieldTable table;
  table.add({.name = "window",
             .type = Type::integer,
             .preset = "512",
             .doc = "tokens that a token sees, itself among them",
             .least = 1});
  table.add(softmax_attention::fields);
  return table;
}();

std::unique_ptr<Rule> create(const Params& options, const LayerShape& shape) {
  return softmax_attention::layer(options, shape, options.integer("window"));
}

}  // namespace

MDNLAB_PLUGIN(create, fields, .name = "sliding_attention", .rule_version = 1,
              .summary = "softmax attention over a window", .capabilities = {.scans = false});
