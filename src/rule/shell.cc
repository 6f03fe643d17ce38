#include "rule/shell.h"

namespace mdnlab {

Shell read_shell(const Params& options, const LayerShape& shape) {
  Shell shell{.value_heads = shape.num_heads,
              .short_convolution = options.boolean("use_short_conv"),
              .output_correction = options.boolean("output_correction")};
  const std::string& gate = options.text("output_gate");
  if (gate != "sigmoid") shell.output_gate = gate == "silu" ? OutputGate::silu : OutputGate::none;
  if (options.is_set("num_v_heads")) shell.value_heads = options.integer("num_v_heads");
  if (shell.value_heads % shape.num_heads != 0) {
    throw options.error("num_v_heads", "num_heads does not divide num_v_heads",
                        "a multiple of " + std::to_string(shape.num_heads));
  }
  return shell;
}

double most_beta(const Params& options, bool has_delta, bool has_momentum) {
  if (!options.boolean("allow_neg_eigval")) return 1;
  if (!has_delta || has_momentum) {
    throw options.error("allow_neg_eigval",
                        has_delta ? "allow_neg_eigval doubles β, which momentum's gates bound"
                                  : "allow_neg_eigval turns the eigenvalue α(1−β), which needs delta",
                        "false", "it is for rules with delta and without momentum");
  }
  return 2;
}

}  // namespace mdnlab
