// Each rule against its README, written down once more as plainly as can be: token by token, head by head,
// one sequence (T,D) in float64.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/log1p.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "layer.h"

namespace mdnlab {
namespace {

using at::Tensor;

constexpr std::int64_t T = 9, H = 2, K = 4, V = 6;

Tensor swish(const Tensor& x) { return x * at::sigmoid(x); }

Tensor root_mean_norm(const Tensor& x, const Tensor& weight, double eps) {
  return x / at::sqrt(x.square().mean(-1, true) + eps) * weight;
}

Tensor unit(const Tensor& x) { return x / at::sqrt(x.square().sum() + 1e-6); }

// silu(bias + Σ_i w_i x_{t−W+1+i}), a filter a channel
Tensor convolved(const Tensor& x_TC, const Tensor& weight_C1W, const Tensor& bias) {
  const std::int64_t taps = weight_C1W.size(2);
  Tensor y = at::zeros_like(x_TC);
  for (std::int64_t t = 0; t < x_TC.size(0); ++t) {
    for (std::int64_t i = 0; i < taps; ++i) {
      if (t - taps + 1 + i >= 0) y[t] += weight_C1W.select(2, i).squeeze(1) * x_TC[t - taps + 1 + i];
    }
    if (bias.defined()) y[t] += bias;
  }
  return swish(y);
}

struct Gates {
  Tensor alpha, mu, beta, eta;  // (T,H)
};

// What a rule's README says of its gates: `in` projects the input by name.
struct Shell {
  std::string name;
  std::vector<std::string> options;
  bool has_delta;
  bool silu_gate;
  bool output_correction;
  std::function<Gates(const std::function<Tensor(const char*)>& in, const Weights& w)> gates;
};

Tensor layer_of(const Shell& rule, const Weights& w, const Tensor& x_TD) {
  const auto project = [&](const std::string& name) { return x_TD.matmul(w[name + "_proj.weight"].t()); };
  const auto stream = [&](const std::string& name, std::int64_t width) {
    return convolved(project(name), w[name + "_conv1d.weight"], {}).view({T, H, width});
  };
  const Tensor q = stream("q", K), k = stream("k", K), v = stream("v", V), g = project("g").view({T, H, V});
  const Gates gates = rule.gates([&](const char* name) { return project(name); }, w);
  std::vector<Tensor> rows;
  for (std::int64_t t = 0; t < T; ++t) rows.push_back(at::zeros_like(v[0]));
  for (std::int64_t h = 0; h < H; ++h) {
    Tensor S = at::zeros_like(at::outer(k[0][h], v[0][h])), M = S;
    for (std::int64_t t = 0; t < T; ++t) {
      Tensor query = q[t][h];
      if (rule.output_correction) query = query - w["D_log"][h].exp() * k[t][h];
      query = unit(query) / std::sqrt(static_cast<double>(K));
      const Tensor key = unit(k[t][h]);
      const Tensor r = rule.has_delta ? v[t][h] - gates.alpha[t][h] * S.t().mv(key) : v[t][h];
      M = gates.mu[t][h] * M - gates.eta[t][h] * at::outer(key, r);
      S = gates.alpha[t][h] * S - gates.beta[t][h] * M;
      const Tensor gate = rule.silu_gate ? swish(g[t][h]) : at::sigmoid(g[t][h]);
      rows[static_cast<std::size_t>(t)][h] = root_mean_norm(S.t().mv(query), w["o_norm.weight"], 1e-6) * gate;
    }
  }
  return at::stack(rows).view({T, H * V}).matmul(w["o_proj.weight"].t());
}

Tensor decay(const Tensor& projected, const Tensor& rate_log, const Tensor& bias) {
  return at::exp(-rate_log.exp() * at::softplus(projected + bias));
}

using In = std::function<Tensor(const char*)>;

Tensor alpha(const In& in, const Weights& w) { return decay(in("a"), w["A_log"], w["dt_bias"]); }
Tensor mu(const In& in, const Weights& w) { return decay(in("m"), w["Mu_log"], w["mu_bias"]); }
Tensor eta(const In& in, double tau_factor) {
  return 1 + at::tanh(in("e") / std::sqrt(Layer::hidden / tau_factor));
}

Gates paper(const In& in, const Weights& w) {
  const Tensor rate = eta(in, 1), theta = (rate * w["log_factor"].exp()).atan();
  return {theta.cos().square() * alpha(in, w), mu(in, w), theta.sin().square() * at::sigmoid(in("b")), rate};
}

std::vector<Shell> rules() {
  const auto zero = [](const Tensor& x) { return at::zeros_like(x); };
  const auto one = [](const Tensor& x) { return at::zeros_like(x) + 1; };
  return {
      {"gated_deltanet",
       {},
       true,
       true,
       false,
       [=](const In& in, const Weights& w) {
         const Tensor a = alpha(in, w);
         return Gates{a, zero(a), at::sigmoid(in("b")), one(a)};
       }},
      {"gated_deltanet",
       {"allow_neg_eigval=true", "output_correction=true"},
       true,
       true,
       true,
       [=](const In& in, const Weights& w) {
         const Tensor a = alpha(in, w);
         return Gates{a, zero(a), 2 * at::sigmoid(in("b")), one(a)};
       }},
      {"mdn", {}, true, false, true, paper},
      {"mdn",
       {"min_log_mu=-0.02"},
       true,
       false,
       true,
       [](const In& in, const Weights& w) {
         Gates gates = paper(in, w);
         gates.mu = gates.mu.clamp_min(std::exp(-0.02));
         return gates;
       }},
      {"mdn",
       {"gate_constraint=none", "tau_factor=8", "output_correction=false"},
       true,
       false,
       false,
       [](const In& in, const Weights& w) {
         return Gates{alpha(in, w), mu(in, w), at::sigmoid(in("b")), eta(in, 8)};
       }},
      {"delta_momentum",
       {},
       true,
       false,
       false,
       [=](const In& in, const Weights& w) {
         const Tensor m = mu(in, w), e = eta(in, 1).clamp_min(1e-3);
         return Gates{one(m), m, at::sigmoid(in("b")) * (1 - m) / e, e};
       }},
      {"delta_momentum",
       {"gate_constraint=none", "output_correction=true"},
       true,
       false,
       true,
       [=](const In& in, const Weights& w) {
         const Tensor m = mu(in, w);
         return Gates{one(m), m, at::sigmoid(in("b")), eta(in, 1).clamp_min(1e-3)};
       }},
      {"decay_momentum",
       {},
       false,
       false,
       false,
       [=](const In& in, const Weights& w) {
         const Tensor m = mu(in, w);
         return Gates{alpha(in, w), m, at::sigmoid(in("b")) * (1 - m), one(m)};
       }},
      {"decay_momentum", {"gate_constraint=none"}, false, false, false, [=](const In& in, const Weights& w) {
         const Tensor m = mu(in, w);
         return Gates{alpha(in, w), m, at::sigmoid(in("b")), one(m)};
       }}};
}

TEST(Formula, OfEveryCoefficientRuleIsItsReadmes) {
  const at::NoGradGuard no_grad;
  for (const Shell& rule : rules()) {
    const LayerCase choice{rule.name, rule.options};
    const Layer layer(choice);
    const Tensor x = random_input(1, T);
    EXPECT_LT(relative_error(layer.whole(x)[0], layer_of(rule, layer.weights(), x[0])), 1e-12)
        << choice.name();
  }
}

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

TEST(Formula, OfAttentionIsItsReadmes) {
  const at::NoGradGuard no_grad;
  const Layer layer({"attention", {"rope_theta=100"}});
  const Weights& w = layer.weights();
  const Tensor input = random_input(1, T);
  const auto project = [&](const char* name) { return input[0].matmul(w[name].t()).view({T, H, K}); };
  const auto rotated = [](const Tensor& x, std::int64_t t) {
    Tensor y = x.clone();
    for (std::int64_t i = 0; i < K / 2; ++i) {
      const double angle = static_cast<double>(t) * std::pow(100, -2.0 * static_cast<double>(i) / K);
      y[i] = x[i] * std::cos(angle) - x[i + K / 2] * std::sin(angle);
      y[i + K / 2] = x[i] * std::sin(angle) + x[i + K / 2] * std::cos(angle);
    }
    return y;
  };
  const Tensor q = project("q_proj.weight"), k = project("k_proj.weight"), v = project("v_proj.weight");
  std::vector<Tensor> rows;
  for (std::int64_t t = 0; t < T; ++t) {
    std::vector<Tensor> heads;
    for (std::int64_t h = 0; h < H; ++h) {
      std::vector<Tensor> scores;
      for (std::int64_t j = 0; j <= t; ++j)
        scores.push_back(rotated(q[t][h], t).dot(rotated(k[j][h], j)) / std::sqrt(static_cast<double>(K)));
      const Tensor share = at::softmax(at::stack(scores), 0);
      heads.push_back(share.matmul(v.select(1, h).narrow(0, 0, t + 1)));
    }
    rows.push_back(at::cat(heads));
  }
  EXPECT_LT(relative_error(layer.whole(input)[0], at::stack(rows).matmul(w["o_proj.weight"].t())), 1e-12);
}

}  // namespace
}  // namespace mdnlab
