#include "rule/rule.h"

#include <functional>
#include <numeric>
#include <stdexcept>

#include "ops/layer.h"
#include "rule/coefficients.h"

namespace mdnlab {

namespace {

std::int64_t product(const std::vector<std::int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

}  // namespace

Rule::~Rule() = default;
CoefficientRule::~CoefficientRule() = default;

at::Tensor GateInputs::operator[](std::string_view name) const {
  const auto widened = [](const at::Tensor& gate) { return gate.to(ops::statistics_dtype(gate)); };
  for (std::size_t i = 0; i < needs.gates.size(); ++i) {
    if (needs.gates[i] == name)
      return widened(together.narrow(-1, static_cast<std::int64_t>(i) * heads, heads));
  }
  for (std::size_t i = 0; i < needs.channel_gates.size(); ++i) {
    if (needs.channel_gates[i] == name) return widened(of_channels[i]).unflatten(-1, {heads, -1});
  }
  throw std::logic_error("no gate is named " + std::string(name));
}

std::optional<Coefficients> Rule::coefficients(const at::Tensor&, const Weights&) const {
  return std::nullopt;
}

std::optional<at::Tensor> Rule::influence(const at::Tensor&, const Weights&, std::int64_t,
                                          std::int64_t) const {
  return std::nullopt;
}

std::int64_t ParameterSpec::count() const { return product(shape); }

std::int64_t StateSpec::bytes() const {
  return product(shape) * static_cast<std::int64_t>(c10::elementSize(dtype));
}

const at::Tensor& Weights::operator[](std::string_view name) const {
  for (const auto& [known, tensor] : tensors_) {
    if (known == name) return tensor;
  }
  throw std::logic_error("no learned parameter is named " + std::string(name));
}

}  // namespace mdnlab
