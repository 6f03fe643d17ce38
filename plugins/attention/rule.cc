// Softmax attention over everything seen. README.md has the formulas.
#include "rule/abi.h"
#include "rule/softmax_attention.h"

namespace {

using namespace mdnlab;

std::unique_ptr<Rule> create(const Params& options, const LayerShape& shape) {
  return softmax_attention::layer(options, shape);
}

}  // namespace

MDNLAB_PLUGIN(create, softmax_attention::fields, .name = "attention", .rule_version = 1,
              .summary = "softmax attention, rotary positions",
              .capabilities = {.constant_state = false, .scans = false});
