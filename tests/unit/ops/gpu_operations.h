// Each fused operation on activations and learned values, with the shapes that its test on a GPU gives it.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include <functional>
#include <string>
#include <vector>

#include "ops/cross_entropy.h"
#include "ops/gates.h"
#include "ops/layer.h"
#include "ops/parts.h"

namespace mdnlab::ops {

using Tensors = std::vector<at::Tensor>;

// Activations are given in the layer's dtype, learned values in float32.
struct Operation {
  std::string name;
  Tensors activations, learned;
  std::function<Tensors(const Tensors& x, const Tensors& w)> run;
};

inline Operation convolution(std::int64_t B, std::int64_t T, std::int64_t C, std::int64_t taps,
                             const Documents& documents = {}) {
  return {"short_convolution",
          {at::randn({B, T, C})},
          {at::randn({C, 1, taps}), at::randn({C})},
          [=](const Tensors& x, const Tensors& w) {
            return Tensors{short_convolution(x[0], w[0], w[1], documents.to(x[0].device()), nullptr)};
          }};
}

// Of a part of a wider tensor, where its gradient goes too.
inline Operation part_convolution() {
  return {"short_convolution",
          {at::randn({2, 35, 40})},
          {at::randn({12, 1, 4})},
          [](const Tensors& x, const Tensors& w) {
            return Tensors{short_convolution(parts(x[0], {{8}, {12}, {20}})[1], w[0], {}, {}, nullptr)};
          }};
}

// In parts whose gradients come one by one: some channels in two, the last four in none.
inline Operation convolution_in_views(std::int64_t B, std::int64_t T, std::int64_t C) {
  return {
      "short_convolution in views",
      {at::randn({B, T, C})},
      {at::randn({C, 1, 4}), at::randn({C})},
      [=](const Tensors& x, const Tensors& w) {
        return short_convolution(x[0], w[0], w[1], {}, nullptr, {{0, {C / 4, 2}}, {C / 4, {2, C / 4 - 2}}});
      }};
}

inline Operation queries_and_keys(std::int64_t B, std::int64_t T, std::int64_t heads, std::int64_t K,
                                  std::int64_t taps, const Documents& documents = {}) {
  const std::int64_t C = heads * K;
  return {
      "query_key K" + std::to_string(K),
      {at::randn({B, T, C}), at::randn({B, T, C})},
      {at::randn({C, 1, taps}), at::randn({C, 1, taps}), at::randn({heads})},
      [=](const Tensors& x, const Tensors& w) {
        const auto [q, k] = query_key({x[0], w[0]}, {x[1], w[1]}, heads, w[2], documents.to(x[0].device()));
        return Tensors{q, k};
      }};
}

inline Operation gates_of_mdn(std::int64_t B, std::int64_t T, std::int64_t H) {
  return {"gates",
          {at::randn({B, T, 4 * H})},
          {at::randn({H}), at::randn({H}), at::randn({H}), at::randn({H}), at::randn({H})},
          [](const Tensors& x, const Tensors& w) {
            const GateRule mdn{.has_decay = true,
                               .has_momentum = true,
                               .has_delta = true,
                               .constraint = GateConstraint::paper,
                               .tau = 2};
            const GateTensors made = gates(mdn, x[0], {w[0], w[1], w[2], w[3], w[4]});
            return Tensors{made[kLogAlpha], made[kLogMu], made[kBeta], made[kEta]};
          }};
}

// Of a part of a projection's rows, as the layer has them.
inline Operation gates_of_mamba2(std::int64_t B, std::int64_t T, std::int64_t H) {
  return {
      "gates of mamba2",
      {at::randn({B, T, 10 * H})},
      {at::randn({H}), at::randn({H})},
      [H](const Tensors& x, const Tensors& w) {
        const GateTensors made = gates({.discretised = true}, parts(x[0], {{9 * H}, {H}})[1], {w[0], w[1]});
        return Tensors{made[kLogAlpha], made[kBeta]};
      }};
}

inline Operation decay_of_channels(std::int64_t B, std::int64_t T, std::int64_t H, std::int64_t K) {
  return {"channel_decay",
          {at::randn({B, T, H * K})},
          {at::randn({H}), at::randn({H * K})},
          [](const Tensors& x, const Tensors& w) { return Tensors{channel_decay(x[0], w[0], w[1])}; }};
}

// In bf16 the sum is float32 all the same, as in the model.
inline Operation residual_norm(std::int64_t rows, std::int64_t N) {
  return {"add_rms_norm",
          {at::randn({rows, N})},
          {at::randn({N}), at::randn({rows, N})},
          [](const Tensors& x, const Tensors& w) {
            const auto [sum, normed] = add_rms_norm(w[1], x[0], w[0], 1e-6, x[0].scalar_type());
            return Tensors{sum, normed};
          }};
}

inline Operation plain_norm(std::int64_t rows, std::int64_t N) {
  return {"rms_norm", {at::randn({rows, N})}, {at::randn({N})}, [](const Tensors& x, const Tensors& w) {
            return Tensors{rms_norm(x[0], w[0], 1e-6)};
          }};
}

inline Operation gated_norm(std::int64_t rows, std::int64_t N, NormGate kind) {
  return {"gated_rms_norm",
          {at::randn({rows, N}), at::randn({rows, N})},
          {at::randn({N})},
          [=](const Tensors& x, const Tensors& w) {
            return Tensors{gated_rms_norm(x[0], x[1], kind, w[0], 1e-6)};
          }};
}

// Of parts of a wider tensor, as the operations before it leave them.
inline Operation skipping_norm(std::int64_t rows, std::int64_t N, std::int64_t heads, NormGate kind) {
  return {"gated_rms_norm, skip",
          {at::randn({rows, N}), at::randn({rows, N + 8}), at::randn({rows, N + 4})},
          {at::randn({N}), at::randn({heads})},
          [=](const Tensors& x, const Tensors& w) {
            const Skip skip{x[2].narrow(1, 0, N), w[1]};
            return Tensors{gated_rms_norm(x[0], parts(x[1], {{8}, {N}})[1], kind, w[0], 1e-6, skip)};
          }};
}

inline Operation gated_product(std::int64_t rows, std::int64_t N) {
  return {"swiglu", {at::randn({rows, N}), at::randn({rows, N})}, {}, [](const Tensors& x, const Tensors&) {
            return Tensors{swiglu(x[0], x[1])};
          }};
}

inline Operation positions(std::int64_t B, std::int64_t T, std::int64_t H, std::int64_t K, bool of_rows) {
  at::Tensor position = at::arange(3, T + 3).unsqueeze(0);
  if (of_rows) position = at::cat({position, position * 7}).expand({B, T});
  return {"rotary", {at::randn({B, T, H, K})}, {}, [=](const Tensors& x, const Tensors&) {
            return Tensors{rotary(x[0], position.to(x[0].device()), 1e4)};
          }};
}

// In chunks of as many rows as `chunk`, a power of two.
inline Operation head(std::int64_t N, std::int64_t D, std::int64_t V, std::int64_t chunk) {
  const at::Tensor labels = at::randint(V, {N}, at::kLong);
  for (std::int64_t row = 2; row < N; row += 7) labels[row] = kNoLabel;
  return {"head of " + std::to_string(V),
          {at::randn({N, D})},
          {at::randn({V, D}) / std::sqrt(static_cast<double>(D))},
          [=](const Tensors& x, const Tensors& w) {
            const std::int64_t row_bytes =
                (V + 63) / 64 * 64 * static_cast<std::int64_t>(x[0].element_size());
            return Tensors{linear_cross_entropy(x[0], w[0], labels.to(x[0].device()),
                                                1.0 / static_cast<double>(N), chunk * row_bytes)};
          }};
}

}  // namespace mdnlab::ops
