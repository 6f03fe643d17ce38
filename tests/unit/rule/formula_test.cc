// Each rule of coefficients against its README, written down once more as plainly as can be: token by token,
// head by head, one sequence (T,D) in float64.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "as_written.h"
#include "layer.h"

namespace mdnlab {
namespace {

using namespace as_written;
using at::Tensor;

constexpr std::int64_t T = 9, H = 2, K = 4, V = 6;

Tensor unit(const Tensor& x) { return x / at::sqrt(x.square().sum() + 1e-6); }

struct Gates {
  Tensor alpha, mu;   // (T,H), or (T,H,K)
  Tensor beta, eta;   // (T,H)
  Tensor share = {};  // (T,H), of αk, what is erased; undefined: all
  double look_ahead = 0;
};

enum class Surroundings { plain, bare, low_rank };  // bare: no convolution, no output gate

// What a rule's README says of its gates: `in` projects the input by name.
struct Shell {
  std::string name;
  std::vector<std::string> options;
  bool has_delta;
  bool silu_gate;
  bool output_correction;
  std::function<Gates(const std::function<Tensor(const char*)>& in, const Weights& w)> gates;
  std::int64_t heads = H;  // of v, o and the gates; H of q and k
  Surroundings surroundings = Surroundings::plain;
};

Tensor layer_of(const Shell& rule, const Weights& w, const Tensor& x_TD) {
  const bool is_bare = rule.surroundings == Surroundings::bare;
  const auto project = [&](const std::string& name) { return x_TD.matmul(w[name + "_proj.weight"].t()); };
  const auto low_rank = [&](const std::string& name) {
    return x_TD.matmul(w[name + "_proj.0.weight"].t()).matmul(w[name + "_proj.1.weight"].t());
  };
  const auto stream = [&](const std::string& name, std::int64_t heads, std::int64_t width) {
    const Tensor x = project(name);
    return (is_bare ? swish(x) : convolved(x, w[name + "_conv1d.weight"], {})).view({T, heads, width});
  };
  const Tensor q = stream("q", H, K), k = stream("k", H, K), v = stream("v", rule.heads, V);
  Tensor g = at::zeros_like(v);
  if (rule.surroundings == Surroundings::low_rank) g = (low_rank("g") + w["g_proj.1.bias"]).view_as(v);
  if (rule.surroundings == Surroundings::plain) g = project("g").view_as(v);
  const Gates gates = rule.gates(
      [&](const char* name) {
        return name[0] == 'f' ? low_rank(name).view({T, rule.heads, K}) : project(name);
      },
      w);
  std::vector<Tensor> rows;
  for (std::int64_t t = 0; t < T; ++t) rows.push_back(at::zeros_like(v[0]));
  for (std::int64_t h = 0; h < rule.heads; ++h) {
    const std::int64_t shared = h * H / rule.heads;
    Tensor S = at::zeros_like(at::outer(k[0][shared], v[0][h])), M = S;
    for (std::int64_t t = 0; t < T; ++t) {
      Tensor query = q[t][shared];
      if (rule.output_correction) query = query - w["D_log"][shared].exp() * k[t][shared];
      query = unit(query) / std::sqrt(static_cast<double>(K));
      const Tensor key = unit(k[t][shared]);
      const Tensor alpha = gates.alpha[t][h].reshape({-1, 1}), mu = gates.mu[t][h].reshape({-1, 1});
      Tensor r = v[t][h];
      if (rule.has_delta) {
        const Tensor said = (alpha * S).t().mv(key);
        r = r - (gates.share.defined() ? gates.share[t][h] * said : said);
      }
      M = mu * M - gates.eta[t][h] * at::outer(key, r);
      S = alpha * S - gates.beta[t][h] * M;
      const Tensor gate = is_bare          ? at::zeros_like(r) + 1
                          : rule.silu_gate ? swish(g[t][h])
                                           : at::sigmoid(g[t][h]);
      const Tensor read = (S - gates.look_ahead * M).t().mv(query);
      rows[static_cast<std::size_t>(t)][h] = root_mean_norm(read, w["o_norm.weight"], 1e-6) * gate;
    }
  }
  return at::stack(rows).view({T, rule.heads * V}).matmul(w["o_proj.weight"].t());
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

Tensor channel_alpha(const In& in, const Weights& w) {
  const Tensor f = in("f");
  return decay(f, w["A_log"].unsqueeze(1), w["dt_bias"].view({f.size(1), K}));
}

// The certified gates at c, theta; alpha (T,H) or (T,H,K).
Gates escrow(const In& in, const Weights& w, const Tensor& alpha, double c, double theta,
             const Tensor& share) {
  const double most = 2 * c * (1 - 1e-4) / ((1 + c) * (1 + c * 1e-4));  // what ν = 0.01 allows
  const Tensor x = at::sigmoid(in("b")) * std::min(1.0, most), erased = share.defined() ? x * share : x;
  const Tensor square = (2 * c - (1 + c) * erased) / (2 * c + c * (1 + c) * erased);
  const Tensor nu = (at::sqrt(square) * at::sigmoid(in("m") + w["mu_bias"])).clamp_min(0.01);
  return {alpha, alpha * (alpha.dim() == 3 ? nu.unsqueeze(2) : nu), (1 - nu) / nu, nu * theta * x, share};
}

std::vector<Shell> rules() {
  const auto zero = [](const Tensor& x) { return at::zeros_like(x); };
  const auto one = [](const Tensor& x) { return at::zeros_like(x) + 1; };
  return {{"gated_deltanet",
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
          {"decay_momentum",
           {"gate_constraint=none"},
           false,
           false,
           false,
           [=](const In& in, const Weights& w) {
             const Tensor m = mu(in, w);
             return Gates{alpha(in, w), m, at::sigmoid(in("b")), one(m)};
           }},
          {"decay_momentum",
           {"gate_constraint=paper", "look_ahead=0.25"},
           false,
           false,
           false,
           [=](const In& in, const Weights& w) {
             const Tensor m = mu(in, w), theta = (one(m) * w["log_factor"].exp()).atan();
             return Gates{theta.cos().square() * alpha(in, w),
                          m,
                          theta.sin().square() * at::sigmoid(in("b")),
                          one(m),
                          {},
                          0.25};
           }},
          {"decay_momentum",
           {"gate_constraint=escrow", "num_v_heads=4"},
           false,
           false,
           false,
           [=](const In& in, const Weights& w) {
             const Tensor a = alpha(in, w), nu = at::sigmoid(in("m") + w["mu_bias"]).clamp_min(0.01);
             return Gates{a, a * nu, (1 - nu) / nu, nu * (1 - a) * at::sigmoid(in("b"))};
           },
           4},
          {"mdn",
           {"gate_constraint=escrow", "escrow_c=0.5", "erase_share=true", "look_ahead=1",
            "output_correction=false"},
           true,
           false,
           false,
           [](const In& in, const Weights& w) {
             Gates gates = escrow(in, w, alpha(in, w), 0.5, 0.95, at::sigmoid(in("e")));
             gates.look_ahead = 1;
             return gates;
           }},
          {"delta_momentum",
           {"gate_constraint=escrow", "escrow_theta=0.8"},
           true,
           false,
           false,
           [=](const In& in, const Weights& w) { return escrow(in, w, one(in("m")), 2, 0.8, {}); }},
          {"deltanet",
           {"num_v_heads=6", "output_gate=none", "use_short_conv=false", "output_correction=true"},
           true,
           false,
           true,
           [=](const In& in, const Weights&) {
             const Tensor b = at::sigmoid(in("b"));
             return Gates{one(b), zero(b), b, one(b)};
           },
           6,
           Surroundings::bare},
          {"scalar_ssd",
           {},
           false,
           false,
           false,
           [=](const In& in, const Weights& w) {
             const Tensor step = at::softplus(in("b") + w["dt_bias"]);
             return Gates{at::exp(-w["A_log"].exp() * step), zero(step), step, one(step)};
           }},
          {"kda",
           {},
           true,
           false,
           false,
           [=](const In& in, const Weights& w) {
             const Tensor b = at::sigmoid(in("b"));
             return Gates{channel_alpha(in, w), zero(b), b, one(b)};
           },
           H,
           Surroundings::low_rank},
          {"kda_momentum",
           {"num_v_heads=4"},
           true,
           false,
           false,
           [](const In& in, const Weights& w) { return escrow(in, w, channel_alpha(in, w), 2, 0.95, {}); },
           4,
           Surroundings::low_rank},
          {"kda_momentum",
           {"gate_constraint=effective_step"},
           true,
           false,
           false,
           [](const In& in, const Weights& w) {
             const Tensor a = channel_alpha(in, w), nu = mu(in, w), e = eta(in, 1).clamp_min(1e-3);
             return Gates{a, a * nu.unsqueeze(2), at::sigmoid(in("b")) * (1 - nu) / e, e};
           },
           H,
           Surroundings::low_rank},
          {"family",
           {"decay=channel", "delta=false", "gate_constraint=paper"},
           false,
           false,
           false,
           [=](const In& in, const Weights& w) {
             const Tensor nu = mu(in, w), theta = (one(nu) * w["log_factor"].exp()).atan();
             const Tensor a = theta.cos().square().unsqueeze(2) * channel_alpha(in, w);
             return Gates{a, a * nu.unsqueeze(2), theta.sin().square() * at::sigmoid(in("b")), one(nu)};
           }},
          {"family",
           {"decay=channel", "delta=false", "gate_constraint=escrow"},
           false,
           false,
           false,
           [=](const In& in, const Weights& w) {
             const Tensor a = channel_alpha(in, w), nu = at::sigmoid(in("m") + w["mu_bias"]).clamp_min(0.01);
             const Tensor kept = std::get<0>(a.max(2));
             return Gates{a, a * nu.unsqueeze(2), (1 - nu) / nu, nu * (1 - kept) * at::sigmoid(in("b"))};
           }},
          {"family",
           {"decay=none", "delta=false", "gate_constraint=escrow"},
           false,
           false,
           false,
           [=](const In& in, const Weights& w) {
             const Tensor nu = at::sigmoid(in("m") + w["mu_bias"]).clamp_min(0.01);
             return Gates{one(nu), nu, (1 - nu) / nu, nu * at::sigmoid(in("b"))};
           }},
          {"family",
           {"decay=none", "delta=false", "momentum=false"},
           false,
           false,
           false,
           [=](const In& in, const Weights&) {
             const Tensor b = at::sigmoid(in("b"));
             return Gates{one(b), zero(b), b, one(b)};
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

}  // namespace
}  // namespace mdnlab
