// One layer of a rule as the suite runs it: small, its learned values drawn so widely that every gate moves.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rule/loader.h"

namespace mdnlab::check {

// A rule with options at a shape that it accepts.
struct LayerChoice {
  const Plugin* plugin;
  Params options;
  LayerShape shape;
  std::string variant;  // what differs from the usual options: "delta=false"; empty for those
};

class Layer {
 public:
  // The learned values are the same in every dtype: float32 numbers, kept in float64 for a float64 layer and
  // in float32 otherwise.
  Layer(const LayerChoice& choice, at::ScalarType dtype, std::uint64_t seed, at::Device device = at::kCPU);

  const mdnlab::Rule& rule() const { return *rule_; }
  const Weights& weights() const { return weights_; }
  at::ScalarType dtype() const { return dtype_; }
  // What this layer takes in place of a tensor of another.
  at::Tensor given(const at::Tensor& x_BTD) const { return x_BTD.to(device_, dtype_); }

  // The same layer with other values.
  Layer with(Weights weights, at::ScalarType dtype) const;

  // Everything at once, from nothing.
  at::Tensor whole(const at::Tensor& x_BTD, const ops::Documents& documents = {}) const;

  // Goes on from `state`.
  at::Tensor next(const at::Tensor& x_BTD, LayerState& state) const;

  // From nothing, a token at a time.
  at::Tensor token_by_token(const at::Tensor& x_BTD, LayerState& state) const;

  // N(0,1), float32 numbers, in the layer's dtype and on its device: the same on all.
  at::Tensor input(std::int64_t batch, std::int64_t tokens, std::string_view name = "x") const;

 private:
  std::shared_ptr<const mdnlab::Rule> rule_;
  Weights weights_;
  at::ScalarType dtype_ = at::kDouble;
  at::Device device_ = at::kCPU;
  std::int64_t hidden_size_ = 0;
  std::uint64_t seed_ = 0;
};

}  // namespace mdnlab::check
