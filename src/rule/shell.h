// The options of the layer around a recurrence, which every recurrent rule shares. A rule joins
// `shell_fields` to its table and passes on what `read_shell` gives; the layer (rule/linear_mixer.h) does the
// rest.
#pragma once

#include <array>
#include <cstdint>

#include "config/params.h"
#include "rule/rule.h"

namespace mdnlab {

enum class OutputGate { none, silu, sigmoid };

struct Shell {
  std::int64_t value_heads = 0;  // H, a multiple of the key heads; 0: as many
  bool short_convolution = true;
  bool output_correction = false;
  OutputGate output_gate = OutputGate::sigmoid;
  bool low_rank_output_gate = false;  // hidden → V → H·V with a bias, as kda was published
};

struct ShellDefaults {
  const char* output_correction = "false";
  const char* output_gate = "sigmoid";
};

constexpr std::array<Field, 5> shell_fields(const ShellDefaults& defaults = {}) {
  return {Field{.name = "output_correction",
                .type = Type::boolean,
                .preset = defaults.output_correction,
                .doc = "q ← q − exp(D_log)·k before normalisation"},
          Field{.name = "output_gate",
                .type = Type::text,
                .preset = defaults.output_gate,
                .doc = "RMSNorm(o) ∘ silu(g) or sigmoid(g); none: no g_proj",
                .choices = "none|silu|sigmoid"},
          Field{.name = "use_short_conv",
                .type = Type::boolean,
                .preset = "true",
                .doc = "convolution of model.conv_size taps on q, k and v before their silu"},
          Field{.name = "num_v_heads",
                .type = Type::integer,
                .preset = nullptr,
                .doc = "heads of v, o and the gates, a multiple of num_heads, which is then q's and k's",
                .least = 1},
          Field{.name = "allow_neg_eigval",
                .type = Type::boolean,
                .preset = "false",
                .doc = "β in (0,2) instead of (0,1), for delta without momentum: eigenvalues down to −1"}};
}

// value_heads is resolved. num_v_heads that num_heads does not divide: Code::usage.
Shell read_shell(const Params& options, const LayerShape& shape);

// The least upper bound of β: 2 with allow_neg_eigval, else 1. Code::usage where the rule has no delta or has
// momentum: there is no eigenvalue to turn, or a gate_constraint that the doubled step would break.
double most_beta(const Params& options, bool has_delta, bool has_momentum);

}  // namespace mdnlab
