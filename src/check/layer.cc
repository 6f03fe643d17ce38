#include "check/layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <cmath>

#include "check/recurrence_inputs.h"

namespace mdnlab::check {

namespace {

// Projections keep the size of what goes through them (the initial N(0, 0.02²) would leave every gate in its
// middle), and constants move a little, so that no two heads are alike.
at::Tensor value_of(const ParameterSpec& spec, std::uint64_t seed) {
  at::Tensor value = at::empty(spec.shape, at::kFloat);
  fill(value, spec.initial, seed, spec.name);
  if (spec.initial.kind == Initial::Kind::normal && !spec.shape.empty())
    return value * std::sqrt(2.0 / static_cast<double>(spec.shape.back())) / spec.initial.a;
  if (spec.initial.kind == Initial::Kind::constant)
    return value + 0.1 * normal(spec.shape, seed, spec.name).to(at::kFloat);
  return value;
}

}  // namespace

Layer::Layer(const LayerChoice& choice, at::ScalarType dtype, std::uint64_t seed, at::Device device)
    : rule_(choice.plugin->create(choice.options, choice.shape)),
      dtype_(dtype),
      device_(device),
      hidden_size_(choice.shape.hidden_size),
      seed_(seed) {
  for (const ParameterSpec& spec : rule_->parameters())
    weights_.add(spec.name, value_of(spec, seed).to(device, dtype == at::kDouble ? at::kDouble : at::kFloat));
}

Layer Layer::with(Weights weights, at::ScalarType dtype) const {
  Layer other = *this;
  other.weights_ = std::move(weights);
  other.dtype_ = dtype;
  return other;
}

at::Tensor Layer::whole(const at::Tensor& x_BTD, const ops::Documents& documents) const {
  return rule_->forward(x_BTD, weights_, documents, nullptr);
}

at::Tensor Layer::next(const at::Tensor& x_BTD, LayerState& state) const {
  return rule_->forward(x_BTD, weights_, {}, &state);
}

at::Tensor Layer::token_by_token(const at::Tensor& x_BTD, LayerState& state) const {
  std::vector<at::Tensor> y;
  for (std::int64_t t = 0; t < x_BTD.size(1); ++t) y.push_back(next(x_BTD.narrow(1, t, 1), state));
  return at::cat(y, 1);
}

at::Tensor Layer::input(std::int64_t batch, std::int64_t tokens, std::string_view name) const {
  return given(normal({batch, tokens, hidden_size_}, seed_, name));
}

}  // namespace mdnlab::check
