#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "base/text.h"
#include "check/layer_checks.h"
#include "check/rule_recurrence.h"

namespace mdnlab::check {

namespace {

constexpr std::int64_t kBatch = 3, kTokens = 11;

std::string shape_text(at::IntArrayRef shape) {
  std::vector<std::string> sizes;
  for (const std::int64_t size : shape) sizes.push_back(std::to_string(size));
  return "(" + join(sizes, ",") + ")";
}

std::int64_t state_bytes(const mdnlab::Rule& rule, std::int64_t context) {
  std::int64_t bytes = 0;
  for (const StateSpec& spec : rule.state(context, at::kFloat)) bytes += spec.bytes();
  return bytes;
}

// state() against the tensors that a call leaves behind.
void check_state(const LayerChoice& choice, std::uint64_t seed, at::Device device, Verdict& verdict) {
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat, at::kBFloat16}) {
    const Where where = layer_where(choice, "state", "", dtype);
    const Layer layer(choice, dtype, seed, device);
    LayerState state;
    const at::Tensor x = layer.input(kBatch, kTokens), y = layer.next(x, state);
    verdict.holds(
        where, "y", y.sizes() == x.sizes() && y.scalar_type() == dtype,
        "an output of shape " + shape_text(y.sizes()) + " and dtype " + c10::toString(y.scalar_type()));
    verdict.holds(
        where, "position", state.position == kTokens,
        "position " + std::to_string(state.position) + " after " + std::to_string(kTokens) + " tokens");
    const std::vector<StateSpec> specs = layer.rule().state(kTokens, dtype);
    verdict.holds(
        where, "count", specs.size() == state.tensors.size(),
        std::to_string(state.tensors.size()) + " tensors, declared " + std::to_string(specs.size()));
    for (std::size_t i = 0; i < std::min(specs.size(), state.tensors.size()); ++i) {
      std::vector<std::int64_t> shape{kBatch};
      shape.insert(shape.end(), specs[i].shape.begin(), specs[i].shape.end());
      const at::Tensor& tensor = state.tensors[i];
      verdict.holds(where, specs[i].name,
                    tensor.sizes() == at::IntArrayRef(shape) && tensor.scalar_type() == specs[i].dtype &&
                        tensor.device() == x.device(),
                    shape_text(tensor.sizes()) + " " + c10::toString(tensor.scalar_type()) + " on " +
                        tensor.device().str() + ", declared " + shape_text(shape) + " " +
                        c10::toString(specs[i].dtype) + ", x on " + x.device().str());
    }
  }
}

const char* decay_word(const at::Tensor& log_alpha) {
  return !log_alpha.defined() ? "none" : log_alpha.dim() == 4 ? "channel" : "scalar";
}

// What `rules list` says, or the options where they have the switches, against what the layer hands to the
// scan.
void check_capabilities(const LayerChoice& choice, std::uint64_t seed, at::Device device, Verdict& verdict) {
  const Where where = layer_where(choice, "capabilities", "", at::kFloat);
  const Layer layer(choice, at::kFloat, seed, device);
  constexpr std::int64_t kLong = 1 << 20;
  const bool constant = state_bytes(layer.rule(), kLong) == state_bytes(layer.rule(), 2 * kLong);
  verdict.holds(where, "constant_state", constant == choice.plugin->info().capabilities.constant_state,
                constant ? "the state does not grow, declared to" : "the state grows, declared constant");
  const auto gates = layer.rule().coefficients(layer.input(1, kTokens), layer.weights());
  if (!gates) return;
  const RuleRecurrence says = recurrence_of(*choice.plugin, choice.options);
  const std::string decay = decay_word(gates->log_alpha);
  const auto yes = [](bool it) { return std::string(it ? "yes" : "no"); };
  verdict.holds(where, "decay", decay == says.decay, "decay " + decay + ", declared " + says.decay);
  verdict.holds(where, "delta", gates->has_delta == says.delta,
                "delta " + yes(gates->has_delta) + ", declared " + yes(says.delta));
  verdict.holds(where, "momentum", gates->log_mu.defined() == says.momentum,
                "momentum " + yes(gates->log_mu.defined()) + ", declared " + yes(says.momentum));
}

// Inputs of usual size, and so small or large that every gate is at its middle or its end.
constexpr double kSizes[] = {1, 1e-3, 100};

// Log-gates ≤ 0 (−∞ forgets), β and η numbers, no sign of β that would turn a write around.
void check_gates(const LayerChoice& choice, std::uint64_t seed, at::Device device, Verdict& verdict) {
  const Layer layer(choice, at::kFloat, seed, device);
  for (const double size : kSizes) {
    const Where where = layer_where(choice, "gates", "x*" + shortest(size), at::kFloat);
    const auto gates = layer.rule().coefficients(layer.input(1, kTokens) * size, layer.weights());
    if (!gates) return;
    for (const auto& [name, gate] : {std::pair{"log_alpha", &gates->log_alpha}, {"log_mu", &gates->log_mu}}) {
      if (gate->defined())
        verdict.holds(where, name, (*gate <= 0).all().item<bool>(), "a log-gate that is not ≤ 0");
    }
    for (const auto& [name, gate] : {std::pair{"beta", &gates->beta}, {"eta", &gates->eta}}) {
      if (!gate->defined()) continue;
      const bool good = at::isfinite(*gate).all().item<bool>() && (*gate >= 0).all().item<bool>();
      verdict.holds(where, name, good, "a value that is not finite and ≥ 0");
    }
  }
}

void check_extremes(const LayerChoice& choice, std::uint64_t seed, at::Device device, Verdict& verdict) {
  const Layer layer(choice, at::kFloat, seed, device);
  for (const double size : kSizes) {
    const Where where = layer_where(choice, "extremes", "x*" + shortest(size), at::kFloat);
    const at::Tensor x = (layer.input(1, kTokens) * size).requires_grad_(true);
    const at::Tensor y = layer.whole(x);
    verdict.holds(where, "y", at::isfinite(y).all().item<bool>(), "an output that is not finite");
    const at::Tensor d_x = torch::autograd::grad({y.sum()}, {x})[0];
    verdict.holds(where, "d_x", at::isfinite(d_x).all().item<bool>(), "a gradient that is not finite");
  }
}

}  // namespace

void check_claims(const LayerChoice& choice, std::uint64_t seed, at::Device device, Verdict& verdict) {
  const auto part = [&](const char* group, const auto& body) {
    verdict.attempt(layer_where(choice, group, "", at::kFloat), [&] { body(choice, seed, device, verdict); });
  };
  if (choice.plugin->info().capabilities.step) part("state", check_state);
  part("capabilities", check_capabilities);
  part("gates", check_gates);
  part("extremes", check_extremes);
}

}  // namespace mdnlab::check
