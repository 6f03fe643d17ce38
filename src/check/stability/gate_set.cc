#include "check/stability/gate_set.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"

namespace mdnlab::stability {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// The rules whose gates are described: presets of rule/family.h, and those whose step is Δt.
constexpr std::string_view family_rules[] = {
    "decay_momentum", "delta_momentum", "deltanet", "family", "gated_deltanet", "kda", "kda_momentum", "mdn"};
constexpr std::string_view time_step_rules[] = {"mamba2", "scalar_ssd"};

// Options by name, where the rule has them.
struct Options {
  const Params& params;

  bool has(std::string_view name) const {
    return std::ranges::any_of(
        params.values(), [&](const auto& field) { return field.first == name && field.second.is_set(); });
  }
  double real(std::string_view name, double absent) const { return has(name) ? params.real(name) : absent; }
  bool boolean(std::string_view name, bool absent) const { return has(name) ? params.boolean(name) : absent; }
  std::string text(std::string_view name, const char* absent) const {
    return has(name) ? params.text(name) : absent;
  }
};

Cell cell_of(const PluginInfo& rule, const Options& options) {
  const Capabilities& can = rule.capabilities;
  const std::string decay = options.text("decay", can.decay);
  Cell cell{.has_delta = options.boolean("delta", can.delta),
            .has_momentum = options.boolean("momentum", can.momentum),
            .has_decay = decay != "none",
            .is_channel_wise = decay == "channel",
            .most_beta = options.boolean("allow_neg_eigval", false) ? 2.0 : 1.0,
            .least_momentum = std::exp(options.real("min_log_mu", -infinity))};
  if (std::ranges::find(time_step_rules, rule.name) != std::end(time_step_rules)) cell.most_beta = infinity;
  if (cell.has_delta) {
    cell.c = options.real("escrow_c", 1);
    cell.theta = options.real("escrow_theta", 1);
    cell.has_erase_share = options.boolean("erase_share", false);
  }
  return cell;
}

Certificate certificate_of(const Cell& cell, std::string_view constraint) {
  using enum Certificate::Norm;
  if (!cell.has_momentum) return {memory};
  if (constraint == "escrow") return {escrow, cell.c};
  return {!cell.has_delta && constraint == "effective_step" ? sum : none};
}

}  // namespace

bool GateSet::decays() const {
  return is_drawn || std::ranges::any_of(variables, [](const Variable& v) { return v.name == "decay"; });
}

std::size_t GateSet::index(std::string_view variable) const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < variables.size(); ++i) {
    if (variables[i].name == variable) return i;
    names.push_back(variables[i].name);
  }
  throw Error(Code::usage, {.what = "no gate of " + rule + " is free under this name",
                            .found = quote(variable),
                            .hint = suggestion(variable, names)});
}

void GateSet::fix(std::string_view variable, double value) {
  Variable& v = variables[index(variable)];
  if (!(value >= v.low && value <= v.high)) {
    throw Error(Code::usage, {.what = "outside the range of " + v.name,
                              .found = shortest(value),
                              .expected = shortest(v.low) + " to " + shortest(v.high)});
  }
  v.low = v.high = value;
}

double GateSet::value(std::size_t variable, double unit) const {
  const Variable& v = variables[variable];
  return unit == 1 ? v.high : v.low + (v.high - v.low) * unit;
}

std::vector<double> GateSet::values(std::span<const double> units) const {
  std::vector<double> values;
  for (std::size_t i = 0; i < units.size(); ++i) values.push_back(value(i, units[i]));
  return values;
}

std::optional<GateSet> described_gates(const PluginInfo& rule, const Params& params) {
  const auto is_among = [&](const auto& rules) {
    return std::ranges::find(rules, std::string_view(rule.name)) != std::end(rules);
  };
  if (!is_among(family_rules) && !is_among(time_step_rules)) return std::nullopt;
  const Options options{params};
  const Cell cell = cell_of(rule, options);
  const std::string constraint = cell.has_momentum ? options.text("gate_constraint", "none") : "";
  const Constraint& form = find_constraint(constraint.empty() ? "none" : constraint);
  GateSet set{.rule = rule.name,
              .constraint = constraint,
              .has_delta = cell.has_delta,
              .has_momentum = cell.has_momentum,
              .is_channel_wise = cell.is_channel_wise,
              .variables = form.variables(cell),
              .certificate = certificate_of(cell, constraint)};
  set.gate = [cell, make = form.make, variables = set.variables](std::span<const double> values) {
    return make(cell, [&](std::string_view name) -> double {
      for (std::size_t i = 0; i < variables.size(); ++i) {
        if (variables[i].name == name) return values[i];
      }
      return name == "log_factor" ? 0 : 1;
    });
  };
  set.excess = [cell, excess = form.excess](const Gate& gate) { return excess(cell, gate); };
  set.most_step = [cell, most = form.most_step](double alpha, double mu) {
    return cell.has_delta ? std::max(most(cell, alpha, mu), 0.0) : 0;
  };
  // Where the paper's gates were first seen to grow.
  if (constraint == "paper" && cell.has_delta && !cell.is_channel_wise)
    set.probes = {{{"log_factor", -1}, {"eta", 1.75}, {"mu", 0.999}}};
  return set;
}

}  // namespace mdnlab::stability
