// The gates that a rule can reach under its options, as data: free variables, each with its range, and the
// gate they make (recurrences.md, sections 4 and 5). Ranges are closed: sigmoid, tanh and exp come as near to
// their ends as one likes.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "check/stability/constraint.h"
#include "rule/loader.h"

namespace mdnlab::stability {

// A norm of (S, M) that no gate of a set lets grow at v = 0, whatever the keys of length up to 1.
struct Certificate {
  enum class Norm {
    none,    // no such norm is known
    memory,  // ‖S‖' ≤ α‖S‖: no momentum, and steps up to 2
    sum,     // ‖S‖ + ‖M‖: no delta, and a velocity that adds up to no more than itself
    escrow   // W = ‖S − M‖² + c‖M‖², W' ≤ α²W
  };
  Norm norm = Norm::none;
  double c = 1;
};

// A point of a set that is worth a row of its own: values of some variables; the others at their upper ends.
using Probe = std::vector<std::pair<std::string, double>>;

struct GateSet {
  std::string rule, constraint;  // constraint: empty where the rule has none
  bool has_delta = false, has_momentum = false, is_channel_wise = false;
  bool is_drawn = false;            // seen, not described (drawn_gates.h)
  std::vector<Variable> variables;  // "decay", where there is one, is per channel in a channel-wise rule
  std::function<Gate(std::span<const double> values)> gate;  // one value a variable, within its range
  std::function<double(const Gate&)> excess;                 // how far a gate lies outside; up to 0: inside
  std::function<double(double alpha, double mu)> most_step;  // the largest βηπ at these
  Certificate certificate;
  std::vector<Probe> probes;

  bool decays() const;                                 // whether α may be below 1
  std::size_t index(std::string_view variable) const;  // unknown: Code::usage with the nearest
  void fix(std::string_view variable, double value);   // outside its range: Code::usage

  // From [0,1] to a variable's range.
  double value(std::size_t variable, double unit) const;
  std::vector<double> values(std::span<const double> units) const;
};

// Of a rule with these options; nothing where its gates are not described.
std::optional<GateSet> described_gates(const PluginInfo& rule, const Params& options);

}  // namespace mdnlab::stability
