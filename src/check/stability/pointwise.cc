#include "check/stability/pointwise.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_eigvals.h>

#include <cmath>
#include <limits>

namespace mdnlab::stability {

namespace {
constexpr double infinity = std::numeric_limits<double>::infinity();
}

std::vector<double> radii(std::span<const Gate> gates) {
  if (gates.empty()) return {};
  at::Tensor matrices = at::empty({std::ssize(gates), 2, 2}, at::kDouble);
  double* entry = matrices.mutable_data_ptr<double>();
  for (const Gate& g : gates) {
    *entry++ = g.alpha * (1 - g.step());
    *entry++ = -g.beta * g.mu;
    *entry++ = g.alpha * g.eta * g.erase;
    *entry++ = g.mu;
  }
  const at::Tensor largest = at::linalg_eigvals(matrices).abs().amax(-1);
  const double* radius = largest.const_data_ptr<double>();
  return {radius, radius + gates.size()};
}

double most_step_one_key(double alpha, double mu) {
  return alpha == 0 ? infinity : (1 + alpha) * (1 + mu) / alpha;
}

std::pair<double, double> complex_steps(double alpha, double mu) {
  if (alpha == 0) return {infinity, infinity};
  const double from = std::sqrt(alpha) - std::sqrt(mu), to = std::sqrt(alpha) + std::sqrt(mu);
  return {from * from / alpha, to * to / alpha};
}

bool is_complex(const Gate& gate) {
  const auto [from, to] = complex_steps(gate.alpha, gate.mu);
  return gate.step() > from && gate.step() < to;
}

std::optional<double> most_step_every_key(double alpha, double mu) {
  if (mu >= alpha) return std::nullopt;
  const double nu = mu / alpha;
  return 2 * (1 - nu) * (1 - nu) / (1 + nu);
}

double certified_share(const Gate& gate) {
  const std::optional<double> most = most_step_every_key(gate.alpha, gate.mu);
  return most ? gate.step() / *most : infinity;
}

}  // namespace mdnlab::stability
