// What each gate_constraint lets the gates of one cell be, in numbers: the counterpart of
// ops/gate_formula.h, which makes them from projections. A test holds the two together.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "check/stability/step.h"

namespace mdnlab::stability {

// A number that a gate is made from: of one token, or learned and the same for every token.
struct Variable {
  std::string name;
  double low = 0, high = 1;
  bool per_head = false;
};

// The cell of delta × momentum × decay, and the options that its gates depend on.
struct Cell {
  bool has_delta = false, has_momentum = false, has_decay = false;
  bool is_channel_wise = false;  // then the momentum gate is ν, and μ = ν∘α
  double most_beta = 1;          // of β = most_beta·sigmoid(b); infinite: Δt, which nothing bounds
  double least_momentum = 0;     // exp(min_log_mu)
  double c = 1, theta = 1;       // of escrow
  bool has_erase_share = false;

  bool has_eta() const { return has_delta && has_momentum; }
};

// The value of a free variable by its name, 1 (log_factor: 0) where the cell has none.
using Values = std::function<double(std::string_view name)>;

struct Constraint {
  const char* name;
  std::vector<Variable> (*variables)(const Cell&);
  Gate (*make)(const Cell&, const Values&);
  double (*excess)(const Cell&, const Gate&);                 // how far outside; up to 0: inside
  double (*most_step)(const Cell&, double alpha, double mu);  // largest βηπ at these
};

const Constraint& find_constraint(std::string_view name);  // unknown: std::logic_error

}  // namespace mdnlab::stability
