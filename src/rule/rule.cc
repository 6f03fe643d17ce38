#include "rule/rule.h"

#include <ATen/TensorOperators.h>

#include <functional>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "ops/layer.h"

namespace mdnlab {

namespace {

std::int64_t product(const std::vector<std::int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

}  // namespace

Rule::~Rule() = default;

void Rule::step(const at::Tensor& x_RD, const StreamNorm& norm, const Weights& weights,
                LayerState& state) const {
  const at::Tensor normed = ops::add_rms_norm(x_RD, {}, norm.weight, norm.eps, norm.dtype).normed;
  LayerState next = state;
  x_RD.add_(forward(normed.unsqueeze(1), weights, {}, &next).squeeze(1));
  if (x_RD.is_cuda()) {
    for (std::size_t i = 0; i < next.tensors.size(); ++i) state.tensors[i].copy_(next.tensors[i]);
    next.tensors = state.tensors;
  }
  state = std::move(next);
}

LayerState Rule::decoding_state(const LayerState& state, std::int64_t) const {
  LayerState own = state;
  for (at::Tensor& tensor : own.tensors) tensor = tensor.clone(at::MemoryFormat::Contiguous);
  return own;
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
