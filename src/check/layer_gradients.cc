// Gradients in float64 against differences of values; in float32, in bf16 and of a sequence in parts against
// those in float64. What is compared with is of the CPU.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"
#include "check/layer_checks.h"
#include "check/recurrence_inputs.h"

namespace mdnlab::check {

namespace {

constexpr std::int64_t kTokens = 37;  // two chunks of the scan

// Differences of fourth order: good to about step⁴ times the curvature, and to 1e-16 · |loss| / step. Where
// the curvature is large (a key near 0 before its normalisation), a smaller step serves; a wrong gradient
// agrees at none.
constexpr double kSteps[] = {2e-4, 3e-5, 4e-6, 5e-7};
constexpr double kTolerance = 1e-8;

// A layer and its backward round about twenty times in a row where the estimate below has two; independent
// roundings add as a root (×3), a single tensor may be hit twice as hard. float32 has 16 bits more.
constexpr double kRoundings = 8;

using Leaves = std::vector<std::pair<std::string, at::Tensor>>;

// x and every parameter, each requiring a gradient.
Leaves leaves_of(const Layer& layer) {
  Leaves leaves = layer.weights().all();
  leaves.emplace_back("x", layer.input(2, kTokens));
  for (auto& [name, leaf] : leaves) leaf = leaf.detach().clone().requires_grad_(true);
  return leaves;
}

// With `parts`, their tokens: part after part, the state carried.
at::Tensor output(const Layer& layer, const Leaves& leaves, const std::vector<std::int64_t>& parts = {}) {
  Weights weights;
  for (const auto& [name, leaf] : leaves) {
    if (name != "x") weights.add(name, leaf);
  }
  const Layer other = layer.with(std::move(weights), layer.dtype());
  const at::Tensor& x = leaves.back().second;
  if (parts.empty()) return other.whole(x);
  LayerState state;
  std::vector<at::Tensor> y;
  for (const at::Tensor& part : x.split_with_sizes(parts, 1)) y.push_back(other.next(part, state));
  return at::cat(y, 1);
}

// On the CPU, wherever the layer is.
std::vector<at::Tensor> gradients(const Layer& layer, const Leaves& leaves,
                                  const std::vector<std::int64_t>& parts = {}) {
  std::vector<at::Tensor> variables;
  for (const auto& [name, leaf] : leaves) variables.push_back(leaf);
  std::vector<at::Tensor> found =
      torch::autograd::grad({output(layer, leaves, parts)}, variables, {layer.input(2, kTokens, "adjoint")},
                            std::nullopt, false, /*allow_unused=*/true);
  for (at::Tensor& gradient : found) {
    if (gradient.defined()) gradient = gradient.cpu();
  }
  return found;
}

// The slope of the loss along a direction in one leaf.
double measured_slope(const Layer& layer, Leaves leaves, std::size_t leaf, const at::Tensor& direction,
                      double step) {
  const at::NoGradGuard no_grad;
  const at::Tensor adjoint = layer.input(2, kTokens, "adjoint"), kept = leaves[leaf].second;
  const auto loss = [&](double steps) {
    leaves[leaf].second = kept + direction * (steps * step);
    return (output(layer, leaves) * adjoint).sum().item<double>();
  };
  return (8 * (loss(1) - loss(-1)) - (loss(2) - loss(-2))) / (12 * step);
}

// `found`, the gradients of a layer in float64, against the values of the judge.
void check_differences(const LayerChoice& choice, std::uint64_t seed, const Layer& judge,
                       const Leaves& leaves, const std::vector<at::Tensor>& found, Verdict& verdict) {
  const Where where = layer_where(choice, "gradient", "differences", at::kDouble);
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const auto& [name, leaf] = leaves[i];
    at::Tensor direction = normal(leaf.sizes(), seed, "direction of " + name);
    direction = direction / direction.norm();
    const double size = found[i].defined() ? found[i].norm().item<double>() : 0;
    const double predicted = found[i].defined() ? (found[i] * direction).sum().item<double>() : 0;
    double slope = 0, error = std::numeric_limits<double>::infinity();
    for (const double step : kSteps) {
      const double measured = measured_slope(judge, leaves, i, direction, step);
      const double off = std::abs(predicted - measured) / std::max(size, std::abs(measured));
      if (off < error) slope = measured;
      error = std::min(error, off);
      if (error <= kTolerance || (predicted == 0 && measured == 0)) break;
    }
    if (predicted == 0 && slope == 0) {
      verdict.holds(where, "d_" + name, false,
                    "it changes nothing: neither the output nor the gradient moves");
    } else {
      verdict.number(where, "d_" + name, error, kTolerance,
                     "gradient " + shortest(predicted) + ", differences " + shortest(slope));
    }
  }
}

// Gradients pass through the state: those of a sequence in parts are `exact`, those of the whole. A part of
// one token is decoded.
void check_parts(const LayerChoice& choice, const Layer& layer, const Leaves& leaves,
                 const std::vector<at::Tensor>& exact, Verdict& verdict) {
  for (const std::vector<std::int64_t>& parts :
       std::vector<std::vector<std::int64_t>>{{20, 17}, {1, 36}, {36, 1}, {2, 30, 1, 1, 3}}) {
    const Where where = layer_where(choice, "split", "at=" + std::to_string(parts[0]), at::kDouble);
    verdict.attempt(where, [&] {
      const std::vector<at::Tensor> found = gradients(layer, leaves, parts);
      for (std::size_t i = 0; i < leaves.size(); ++i)
        verdict.close(where, "d_" + leaves[i].first, found[i], exact[i]);
    });
  }
}

// What rounding x and the parameters to bf16 does to a gradient: the worst tensor's relative error. One
// number for the layer, as two roundings in a tensor of two numbers may cancel by chance.
double rounding_error(const Layer& judge, const Leaves& leaves, const std::vector<at::Tensor>& exact) {
  Leaves rounded = leaves;
  for (auto& [name, leaf] : rounded)
    leaf = leaf.detach().to(at::kBFloat16).to(at::kDouble).requires_grad_(true);
  const std::vector<at::Tensor> found = gradients(judge, rounded);
  double worst = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    if (exact[i].defined()) worst = std::max(worst, relative_error(found[i], exact[i]));
  }
  return worst;
}

}  // namespace

void check_gradients(const LayerChoice& choice, std::uint64_t seed, at::Device device, Verdict& verdict) {
  verdict.attempt(layer_where(choice, "gradient", "", at::kDouble), [&] {
    const Layer judge(choice, at::kDouble, seed), wide(choice, at::kDouble, seed, device);
    const Leaves leaves = leaves_of(judge), wide_leaves = leaves_of(wide);
    const std::vector<at::Tensor> exact = gradients(judge, leaves);
    check_differences(choice, seed, judge, leaves, gradients(wide, wide_leaves), verdict);
    if (choice.plugin->info().capabilities.step) check_parts(choice, wide, wide_leaves, exact, verdict);

    const double rounding = rounding_error(judge, leaves, exact);
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const Where where = layer_where(choice, "gradient", "", dtype);
      const Layer narrow(choice, dtype, seed, device);
      const std::vector<at::Tensor> found = gradients(narrow, leaves_of(narrow));
      const double most = tolerance(at::kFloat) + kRoundings * rounding * (dtype == at::kFloat ? 0x1p-16 : 1);
      for (std::size_t i = 0; i < leaves.size(); ++i) {
        // Where there is none, the differences say whether there should be.
        if (exact[i].defined()) verdict.close(where, "d_" + leaves[i].first, found[i], exact[i], most);
      }
    }
  });
}

}  // namespace mdnlab::check
