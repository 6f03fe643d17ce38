#include "check/stability/drawn_gates.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "check/stability/gate_report.h"

namespace mdnlab::stability {

namespace {

constexpr LayerShape shape{.hidden_size = 64, .num_heads = 4, .head_dim = 16};
constexpr std::int64_t tokens = 256;

at::Tensor random_input(double size, Random& random) {
  at::Tensor x = at::empty({1, tokens, shape.hidden_size}, at::kDouble);
  double* value = x.mutable_data_ptr<double>();
  for (std::int64_t i = 0; i < x.numel(); ++i) value[i] = size * random.uniform(-1, 1);
  return x;
}

}  // namespace

std::optional<GateSet> drawn_gates(const Plugin& plugin, const Params& options, std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  const std::unique_ptr<Rule> rule = plugin.create(options, shape);
  Weights weights;
  for (const ParameterSpec& spec : rule->parameters()) {
    at::Tensor tensor = at::empty(spec.shape, at::kFloat);
    fill(tensor, spec.initial, seed, spec.name);
    weights.add(spec.name, tensor.to(at::kDouble));
  }
  Random random{seed};
  std::vector<Gate> drawn;
  bool has_delta = false, has_momentum = false;
  for (const double size : {0.1, 1.0, 10.0, 100.0}) {
    const std::optional<Coefficients> made = rule->coefficients(random_input(size, random), weights);
    if (!made) return std::nullopt;
    has_delta = made->has_delta;
    has_momentum = made->log_mu.defined();
    for (const std::vector<Gate>& head : gates_by_head(*made))
      std::ranges::copy(head, std::back_inserter(drawn));
  }
  std::ranges::sort(drawn, {}, [](const Gate& gate) { return std::pair(gate.step(), gate.alpha); });
  const double most = drawn.back().step();
  const auto inside = [drawn](const Gate& gate) {
    return std::ranges::any_of(drawn, [&](const Gate& d) {
      return d.alpha == gate.alpha && d.mu == gate.mu && d.beta == gate.beta && d.eta == gate.eta;
    });
  };
  return GateSet{
      .rule = plugin.info().name,
      .has_delta = has_delta,
      .has_momentum = has_momentum,
      .is_drawn = true,
      .variables = {{"draw", 0, static_cast<double>(drawn.size() - 1)}},
      .gate =
          [drawn](std::span<const double> values) {
            return drawn[static_cast<std::size_t>(std::lround(values[0]))];
          },
      .excess = [inside](const Gate& gate) { return inside(gate) ? 0.0 : 1.0; },
      .most_step = [most](double, double) { return most; },
      .certificate = {has_momentum || most > 2 ? Certificate::Norm::none : Certificate::Norm::memory}};
}

}  // namespace mdnlab::stability
