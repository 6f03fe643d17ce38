// The rules with a mixer of their own against their READMEs, written down once more as plainly as can be:
// token by token, head by head, one sequence (T,D) in float64.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "as_written.h"
#include "layer.h"

namespace mdnlab {
namespace {

using namespace as_written;
using at::Tensor;

constexpr std::int64_t T = 9, H = 2, K = 4;

TEST(Formula, OfMamba2IsItsReadmes) {
  const at::NoGradGuard no_grad;
  constexpr std::int64_t E = 16, P = 4, N = 3, G = 2, heads = E / P;
  const Layer layer({"mamba2", {"head_width=4", "state_size=3", "n_groups=2"}});
  const Weights& w = layer.weights();
  const Tensor input = random_input(1, T);
  const std::vector<Tensor> parts =
      input[0].matmul(w["in_proj.weight"].t()).split_with_sizes({E, E + 2 * G * N, heads}, 1);
  const std::vector<Tensor> streams =
      convolved(parts[1], w["conv1d.weight"], w["conv1d.bias"]).split_with_sizes({E, G * N, G * N}, 1);
  const Tensor step = at::softplus(parts[2] + w["dt_bias"]);
  std::vector<Tensor> rows;
  std::vector<Tensor> memory(heads);
  for (std::int64_t t = 0; t < T; ++t) {
    std::vector<Tensor> y;
    for (std::int64_t h = 0; h < heads; ++h) {
      const std::int64_t group = h * G / heads;
      const Tensor x = streams[0][t].narrow(0, h * P, P), B = streams[1][t].narrow(0, group * N, N),
                   C = streams[2][t].narrow(0, group * N, N);
      Tensor& S = memory[static_cast<std::size_t>(h)];
      const Tensor write = step[t][h] * at::outer(B, x);
      S = S.defined() ? at::exp(-w["A_log"][h].exp() * step[t][h]) * S + write : write;
      y.push_back(S.t().mv(C) + w["D"][h] * x);
    }
    rows.push_back(root_mean_norm(at::cat(y) * swish(parts[0][t]), w["norm.weight"], 1e-5));
  }
  EXPECT_LT(relative_error(layer.whole(input)[0], at::stack(rows).matmul(w["out_proj.weight"].t())), 1e-12);
}

// Softmax over the last `window` tokens, one query and one key at a time.
Tensor attention_as_written(const Layer& layer, const Tensor& input, double theta, std::int64_t window) {
  const Weights& w = layer.weights();
  const std::int64_t tokens = input.size(0);
  const auto project = [&](const char* name) { return input.matmul(w[name].t()).view({tokens, H, K}); };
  const auto rotated = [&](const Tensor& x, std::int64_t t) {
    Tensor y = x.clone();
    for (std::int64_t i = 0; i < K / 2; ++i) {
      const double angle = static_cast<double>(t) * std::pow(theta, -2.0 * static_cast<double>(i) / K);
      y[i] = x[i] * std::cos(angle) - x[i + K / 2] * std::sin(angle);
      y[i + K / 2] = x[i] * std::sin(angle) + x[i + K / 2] * std::cos(angle);
    }
    return y;
  };
  const Tensor q = project("q_proj.weight"), k = project("k_proj.weight"), v = project("v_proj.weight");
  std::vector<Tensor> rows;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const std::int64_t first = std::max<std::int64_t>(0, t - window + 1);
    std::vector<Tensor> heads;
    for (std::int64_t h = 0; h < H; ++h) {
      std::vector<Tensor> scores;
      for (std::int64_t j = first; j <= t; ++j)
        scores.push_back(rotated(q[t][h], t).dot(rotated(k[j][h], j)) / std::sqrt(static_cast<double>(K)));
      const Tensor share = at::softmax(at::stack(scores), 0);
      heads.push_back(share.matmul(v.select(1, h).narrow(0, first, t + 1 - first)));
    }
    rows.push_back(at::cat(heads));
  }
  return at::stack(rows).matmul(w["o_proj.weight"].t());
}

TEST(Formula, OfAttentionIsItsReadmes) {
  const at::NoGradGuard no_grad;
  const Layer layer({"attention", {"rope_theta=100"}});
  const Tensor input = random_input(1, T);
  EXPECT_LT(relative_error(layer.whole(input)[0], attention_as_written(layer, input[0], 100, T)), 1e-12);
}

TEST(Formula, OfSlidingAttentionIsItsReadmes) {
  const at::NoGradGuard no_grad;
  for (const std::int64_t window : std::array<std::int64_t, 4>{1, 3, T, 10 * T}) {
    const Layer layer({"sliding_attention", {"rope_theta=100", "window=" + std::to_string(window)}});
    const Tensor input = random_input(1, T);
    EXPECT_LT(relative_error(layer.whole(input)[0], attention_as_written(layer, input[0], 100, window)),
              1e-12)
        << window;
  }
}

}  // namespace
}  // namespace mdnlab
