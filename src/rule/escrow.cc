#include "rule/escrow.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/log.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/sqrt.h>

#include <algorithm>
#include <cmath>

namespace mdnlab {

Escrow::Escrow(const Params& options, bool has_delta)
    : has_delta_(has_delta), shares_(has_delta && options.boolean("erase_share")) {
  if (!has_delta) return;
  c_ = options.real("escrow_c");
  theta_ = options.real("escrow_theta");
  const double square = least_nu * least_nu;
  range_ = std::min(1.0, 2 * c_ * (1 - square) / ((1 + c_) * (1 + c_ * square)));
}

// u_max(ν) = x solved for ν: ν² = (2c − (1+c)x) / (2c + c(1+c)x), at least least_nu² for x ≤ range.
template <class Number>
Number Escrow::most_nu(const Number& erased) const {
  using std::sqrt, at::sqrt;
  return sqrt((2 * c_ - (1 + c_) * erased) / (2 * c_ + c_ * (1 + c_) * erased));
}

Initial Escrow::mu_bias() const {
  const double x = range_ / 2 * (shares_ ? 0.5 : 1), erased = has_delta_ ? theta_ * x : x;
  const double most = has_delta_ ? most_nu(x) : 1;
  const double share = std::min((1 - erased) / (1 + erased) / most, 0.95);
  return {.kind = Initial::Kind::constant, .a = std::log(share / (1 - share))};
}

Coefficients Escrow::coefficients(const at::Tensor& log_alpha, const GateInputs& in) const {
  const bool per_channel = log_alpha.defined() && log_alpha.dim() == 4;
  Coefficients gates{.log_alpha = log_alpha};
  at::Tensor nu = at::sigmoid(in["m"] + in.weights["mu_bias"]);
  at::Tensor u = at::sigmoid(in["b"]);
  if (has_delta_) {
    at::Tensor erased = u * range_;
    u = erased * theta_;
    if (shares_) {
      gates.erase_share = at::sigmoid(in["e"]);
      erased = erased * gates.erase_share;
    }
    nu = most_nu(erased) * nu;
  } else if (log_alpha.defined()) {
    u = u * -(per_channel ? at::amax(log_alpha, -1) : log_alpha).expm1();
  }
  nu = at::clamp_min(nu, least_nu);
  gates.beta = (1 - nu) / nu;
  gates.eta = nu * u;
  gates.log_mu = at::log(nu);
  gates.mu_shares_alpha = per_channel;
  if (log_alpha.defined() && !per_channel) gates.log_mu = log_alpha + gates.log_mu;
  return gates;
}

}  // namespace mdnlab
