#include "check/stability/gate_report.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

#include "check/stability/pointwise.h"

namespace mdnlab::stability {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

double nu(const Gate& g) { return g.mu == 0 ? 0 : g.alpha > 0 ? g.mu / g.alpha : infinity; }

// Over 1 − ν; infinite where that leaves nothing.
double over_remaining(double value, const Gate& g) {
  const double pending = nu(g);
  return pending < 1 ? value / (1 - pending) : infinity;
}

double half_life(double kept) {
  return kept <= 0 ? 0 : kept >= 1 ? infinity : -std::numbers::ln2 / std::log(kept);
}

struct Quantity {
  const char* name;
  const char* meaning;
  double (*of)(const Gate&);
};

constexpr Quantity quantities[] = {
    {"alpha", "α, decay", [](const Gate& g) { return g.alpha; }},
    {"mu", "μ, momentum", [](const Gate& g) { return g.mu; }},
    {"beta", "β, step", [](const Gate& g) { return g.beta; }},
    {"eta", "η, inner rate (times π)", [](const Gate& g) { return g.eta * g.erase; }},
    {"nu", "ν = μ/α, what stays pending", nu},
    {"u", "u = βη/(1−ν), write strength", [](const Gate& g) { return over_remaining(g.step(), g); }},
    {"gamma", "γ = βν/(1−ν)", [](const Gate& g) { return over_remaining(g.beta * std::min(nu(g), 1.0), g); }},
    {"rho", "ρ = u(1+ν)/(2(1−ν))", certified_share},
    {"decay_half_life", "half-life of decay, tokens", [](const Gate& g) { return half_life(g.alpha); }},
    {"momentum_half_life", "half-life of momentum, tokens", [](const Gate& g) { return half_life(g.mu); }}};

Distribution distribution(const Quantity& quantity, const std::vector<Gate>& gates) {
  std::vector<double> values;
  values.reserve(gates.size());
  for (const Gate& gate : gates) values.push_back(quantity.of(gate));
  std::ranges::sort(values);
  Distribution result{quantity.name, quantity.meaning, {}};
  for (const double point : quantile_points) {
    const double place = point * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const double low = values[below], high = values[std::min(below + 1, values.size() - 1)];
    const double between = place - static_cast<double>(below);
    result.quantiles.push_back(between == 0 || low == high ? low : low + between * (high - low));
  }
  return result;
}

}  // namespace

const Distribution& HeadReport::of(std::string_view name) const {
  for (const Distribution& d : distributions) {
    if (d.name == name) return d;
  }
  throw std::logic_error("no such quantity: " + std::string(name));
}

HeadReport report_head(std::int64_t layer, std::int64_t head, const std::vector<Gate>& gates) {
  HeadReport report{.layer = layer, .head = head, .gates = std::ssize(gates)};
  if (gates.empty()) return report;
  for (const Quantity& quantity : quantities) report.distributions.push_back(distribution(quantity, gates));
  const auto share = [&](auto is) {
    return static_cast<double>(std::ranges::count_if(gates, is)) / static_cast<double>(gates.size());
  };
  report.share_uncertified = share([](const Gate& gate) { return certified_share(gate) > 1; });
  report.share_complex = share(is_complex);
  return report;
}

std::vector<std::vector<Gate>> gates_by_head(const Coefficients& coefficients) {
  const at::Tensor& given = coefficients.beta.defined()        ? coefficients.beta
                            : coefficients.log_alpha.defined() ? coefficients.log_alpha
                                                               : coefficients.log_mu;
  const at::Tensor beta =
      coefficients.beta.defined() ? given : at::ones_like(given.dim() == 4 ? given.select(-1, 0) : given);
  const bool per_channel = coefficients.log_alpha.defined() && coefficients.log_alpha.dim() == 4;
  const auto wide = [&](const at::Tensor& gate) {  // (B,T,H) → (B,T,H,1), to spread over channels
    return (gate.dim() == 3 ? gate.unsqueeze(-1) : gate).to(at::kDouble);
  };
  const auto or_else = [&](const at::Tensor& gate, double neutral) {
    return wide(gate.defined() ? gate : at::full_like(beta, neutral));
  };
  const double no_decay = 0;
  const at::Tensor log_alpha = or_else(coefficients.log_alpha, no_decay);
  at::Tensor log_mu = or_else(coefficients.log_mu, -infinity);
  if (coefficients.mu_shares_alpha) log_mu = log_mu + log_alpha;
  at::Tensor all[] = {log_alpha.exp(), log_mu.exp(), wide(beta), or_else(coefficients.eta, 1),
                      or_else(coefficients.erase_share, 1)};
  if (!coefficients.has_delta) all[4] = at::zeros_like(all[4]);
  const std::int64_t channels = per_channel ? coefficients.log_alpha.size(-1) : 1;
  std::vector<at::Tensor> columns;
  for (const at::Tensor& gate : all)
    columns.push_back(gate.expand({beta.size(0), beta.size(1), beta.size(2), channels}));
  const at::Tensor rows = at::stack(columns, -1).permute({2, 0, 1, 3, 4}).contiguous();  // (H,B,T,channels,5)
  const std::int64_t count = rows.numel() / 5 / beta.size(2);
  const double* value = rows.const_data_ptr<double>();
  std::vector<std::vector<Gate>> heads(static_cast<std::size_t>(beta.size(2)));
  for (std::vector<Gate>& gates : heads) {
    gates.reserve(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i, value += 5)
      gates.push_back({value[0], value[1], value[2], value[3], value[4]});
  }
  return heads;
}

}  // namespace mdnlab::stability
