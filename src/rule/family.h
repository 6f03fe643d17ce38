// One rule for every cell of delta × momentum × decay: the switches choose the cell, and all else (the
// layer's projections, output gate, convolution, initial values) stays the same. A published rule is a
// preset: its cell, and the defaults of its layer.
//
//     constexpr family::Preset preset{.switches = {.delta = true, .decay = family::Decay::scalar}};
//     constexpr FieldTable options = family::options(preset);
//
//     MDNLAB_PLUGIN(family::create<preset>, options, …, .capabilities = family::capabilities(preset));
//
// Gates, with a, b, m, e (f for channels) projected from the layer's input:
//
//     α   log α = −exp(A_log)·softplus(a + dt_bias); channel: from f; none: α = 1
//     μ   log μ = −exp(Mu_log)·softplus(m + mu_bias); channel: this is ν, and μ = ν∘α (mu_shares_alpha)
//     β   sigmoid(b), with momentum within gate_constraint
//     η   max(1e-3, 1 + tanh(e/τ)) with delta and momentum, else 1
//     p   αk with delta, else 0
#pragma once

#include <memory>

#include "config/field_table.h"
#include "rule/abi.h"
#include "rule/gate_constraint.h"
#include "rule/shell.h"

namespace mdnlab::family {

enum class Decay { none, scalar, channel };

struct Switches {
  bool delta = false;
  bool momentum = false;
  Decay decay = Decay::none;
};

struct Preset {
  Switches switches;
  const char* gate_constraint = "effective_step";  // the default of a momentum rule
  ShellDefaults shell;
  bool low_rank_output_gate = false;
  bool floors_eta = true;  // where nothing divides by η, the published layer may leave it be
};

constexpr Capabilities capabilities(const Preset& preset) {
  constexpr const char* decay[] = {"none", "scalar", "channel"};
  return {.delta = preset.switches.delta,
          .momentum = preset.switches.momentum,
          .decay = decay[static_cast<int>(preset.switches.decay)]};
}

// The options that this cell has a use for, those of the shell last.
constexpr FieldTable options(const Preset& preset) {
  FieldTable table;
  const bool delta = preset.switches.delta;
  if (preset.switches.momentum) {
    table.add({.name = "gate_constraint",
               .type = Type::text,
               .preset = preset.gate_constraint,
               .doc = "none: β = sigmoid(b); paper: β ≤ sin²θ, α ≤ cos²θ, θ = atan(η·exp(log_factor)); "
                      "effective_step: βη ≤ 1−μ; escrow: certified, the state never grows by itself",
               .choices = gate_constraints});
    table.add({.name = "min_log_mu",
               .type = Type::real,
               .preset = nullptr,
               .doc = "floor of log μ; the authors of mdn use −2, or −1 at 1.3B; not with escrow",
               .most = 0});
    if (delta) {
      table.add(
          {.name = "tau_factor",
           .type = Type::real,
           .preset = "1",
           .doc = "η = 1 + tanh(e/√(hidden/tau_factor)); the authors of mdn use 8 at 1.3B; not in escrow",
           .least = 1e-6});
      table.add({.name = "escrow_c",
                 .type = Type::real,
                 .preset = "2",
                 .doc = "c of escrow's certificate ‖S − M‖² + c‖M‖²",
                 .least = 0.01,
                 .most = 100});
      table.add({.name = "escrow_theta",
                 .type = Type::real,
                 .preset = "0.95",
                 .doc = "escrow's u ≤ theta·u_max: the share of the certified write strength that is used",
                 .least = 0.01,
                 .most = 0.999});
      table.add({.name = "erase_share",
                 .type = Type::boolean,
                 .preset = "false",
                 .doc = "escrow erases with p = παk, π = sigmoid(e), instead of π = 1"});
    }
    table.add({.name = "look_ahead",
               .type = Type::real,
               .preset = "0",
               .doc = "ω in o = (S − ωM)ᵀq: the share of what is pending in M that is read at once",
               .least = 0,
               .most = 1});
  }
  table.add(shell_fields(preset.shell));
  return table;
}

// The layer; `options` are those of a table that holds options(preset). Code::usage as in gate_constraint.h
// and shell.h.
std::unique_ptr<Rule> layer(const Preset& preset, const Params& options, const LayerShape& shape);

template <const Preset& preset>
std::unique_ptr<Rule> create(const Params& options, const LayerShape& shape) {
  return layer(preset, options, shape);
}

}  // namespace mdnlab::family
