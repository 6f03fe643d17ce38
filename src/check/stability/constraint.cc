#include "check/stability/constraint.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace mdnlab::stability {

namespace {

constexpr double most_eta = 2;      // 1 + tanh
constexpr double least_eta = 1e-3;  // where β divides by it
constexpr double least_nu = 0.01;   // of escrow

// Below it μ = να says nothing of ν any more.
constexpr double least_alpha = 1e-290;

// The share of the velocity that the momentum gate keeps: ν where μ = ν∘α, else μ.
double kept(const Cell& cell, const Gate& g) {
  if (!cell.is_channel_wise) return g.mu;
  return g.alpha > least_alpha ? g.mu / g.alpha : cell.least_momentum;
}

double most_inner_rate(const Cell& cell) { return cell.has_eta() ? most_eta : 1; }

std::vector<Variable> usual_variables(const Cell& cell) {
  std::vector<Variable> list;
  if (cell.has_decay) list.push_back({"decay"});
  if (cell.has_momentum) list.push_back({cell.is_channel_wise ? "nu" : "mu", cell.least_momentum});
  if (std::isfinite(cell.most_beta)) list.push_back({"b"});
  if (cell.has_eta()) list.push_back({"eta", 0, most_eta});
  return list;
}

// What holds of every gate: the ranges of sigmoid, tanh and exp.
double excess_of_ranges(const Cell& cell, const Gate& g) {
  const double momentum = kept(cell, g);
  return std::max({g.alpha - 1, -g.alpha, cell.has_decay ? 0 : 1 - g.alpha, momentum - 1,
                   cell.has_momentum ? cell.least_momentum - momentum : momentum, -g.beta,
                   g.eta - most_inner_rate(cell), -g.eta, g.erase - 1, -g.erase});
}

// none: β = most_beta·b, and everything free.

Gate make_free(const Cell& cell, const Values& value) {
  const double alpha = value("decay");
  double mu = 0;
  if (cell.has_momentum) mu = cell.is_channel_wise ? alpha * value("nu") : value("mu");
  const double beta = std::isfinite(cell.most_beta) ? cell.most_beta * value("b") : 1;
  return {.alpha = alpha, .mu = mu, .beta = beta, .eta = value("eta"), .erase = cell.has_delta ? 1.0 : 0.0};
}

double excess_of_free(const Cell& cell, const Gate& g) {
  return std::max(excess_of_ranges(cell, g), g.beta - cell.most_beta);
}

double most_step_free(const Cell& cell, double, double) { return cell.most_beta * most_inner_rate(cell); }

// paper: x = η·exp(log_factor) = tan θ, β = b·sin²θ, α = decay·cos²θ.

std::vector<Variable> paper_variables(const Cell& cell) {
  std::vector<Variable> list = usual_variables(cell);
  list.push_back({"log_factor", -6, 4, true});  // θ from 0 to π/2, as far as it matters
  return list;
}

Gate make_paper(const Cell& cell, const Values& value) {
  Gate gate = make_free(cell, value);
  const double x = gate.eta * std::exp(value("log_factor"));
  gate.beta *= x * x / (1 + x * x);
  gate.alpha /= 1 + x * x;
  if (cell.is_channel_wise) gate.mu /= 1 + x * x;
  return gate;
}

double excess_of_paper(const Cell& cell, const Gate& g) {  // some θ serves both: β ≤ sin²θ ≤ 1 − α
  return std::max(excess_of_ranges(cell, g), g.beta - (1 - g.alpha));
}

double most_step_paper(const Cell& cell, double alpha, double) { return most_inner_rate(cell) * (1 - alpha); }

// effective_step: β = b·(1−ν)/η, so βη ≤ 1−ν.

Gate make_effective_step(const Cell& cell, const Values& value) {
  Gate gate = make_free(cell, value);
  gate.eta = std::max(gate.eta, least_eta);
  gate.beta *= (1 - value(cell.is_channel_wise ? "nu" : "mu")) / gate.eta;
  return gate;
}

double excess_of_effective_step(const Cell& cell, const Gate& g) {
  return std::max(excess_of_ranges(cell, g), g.beta * g.eta - (1 - kept(cell, g)));
}

double most_step_effective_step(const Cell& cell, double alpha, double mu) {
  return 1 - kept(cell, {.alpha = alpha, .mu = mu});
}

// escrow: x = b, u = ϑx, ν = ν_max(πx)·nu, μ = αν, β = (1−ν)/ν, η = νu. Without delta u = (1−α)b, ν = nu.

double most_write(double c, double nu) { return 2 * c / (1 + c) * (1 - nu * nu) / (1 + c * nu * nu); }

double most_nu(double c, double x) {  // most_write(c, ν) = x
  return std::sqrt((2 * c - (1 + c) * x) / (2 * c + c * (1 + c) * x));
}

double most_x(const Cell& cell) { return std::min(1.0, most_write(cell.c, least_nu)); }

std::vector<Variable> escrow_variables(const Cell& cell) {
  std::vector<Variable> list;
  if (cell.has_decay) list.push_back({"decay"});
  list.push_back({"nu"});
  list.push_back({"b"});
  if (cell.has_erase_share) list.push_back({"erase"});
  return list;
}

Gate make_escrow(const Cell& cell, const Values& value) {
  const double alpha = value("decay"), erase = cell.has_delta ? value("erase") : 0;
  double u = cell.has_decay ? 1 - alpha : 1, nu = value("nu");
  if (cell.has_delta) {
    u = cell.theta * most_x(cell);
    nu *= most_nu(cell.c, erase * most_x(cell) * value("b"));
  }
  nu = std::max(nu, least_nu);
  return {
      .alpha = alpha, .mu = alpha * nu, .beta = (1 - nu) / nu, .eta = nu * u * value("b"), .erase = erase};
}

double excess_of_escrow(const Cell& cell, const Gate& g) {
  if (g.alpha <= least_alpha) return std::max(g.mu - g.alpha, -g.alpha);
  const double nu = g.mu / g.alpha, u = g.eta / nu;
  const double most_u = cell.has_decay ? 1 - g.alpha : 1;
  return std::max({g.alpha - 1, cell.has_decay ? 0 : 1 - g.alpha, least_nu - nu, nu - 1, -u,
                   std::abs(g.beta * nu - (1 - nu)), -g.erase, g.erase - 1,
                   cell.has_delta ? u * g.erase - cell.theta * most_write(cell.c, nu) : u - most_u});
}

double most_step_escrow(const Cell& cell, double alpha, double mu) {
  const double nu = alpha > least_alpha ? mu / alpha : 0;
  return nu < 1 ? (1 - nu) * cell.theta * std::min(most_x(cell), most_write(cell.c, nu)) : 0;
}

constexpr Constraint constraints[] = {
    {"none", usual_variables, make_free, excess_of_free, most_step_free},
    {"paper", paper_variables, make_paper, excess_of_paper, most_step_paper},
    {"effective_step", usual_variables, make_effective_step, excess_of_effective_step,
     most_step_effective_step},
    {"escrow", escrow_variables, make_escrow, excess_of_escrow, most_step_escrow}};

}  // namespace

const Constraint& find_constraint(std::string_view name) {
  const auto found = std::ranges::find_if(constraints, [&](const Constraint& c) { return name == c.name; });
  if (found == std::end(constraints))
    throw std::logic_error("gate constraint " + std::string(name) + " is not described");
  return *found;
}

}  // namespace mdnlab::stability
