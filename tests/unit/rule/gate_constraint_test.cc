// The gates that layers give under each gate_constraint keep to the bounds that their READMEs derive. K key
// width, N all tokens and heads.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/diag_embed.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_matrix_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>

#include "layer.h"
#include "scan/chunk.h"

namespace mdnlab {
namespace {

using at::Tensor;

constexpr std::int64_t K = 4;

// Of wide inputs, so that the gates come near their ends.
Coefficients gates_of(const LayerCase& choice, double width = 4, std::int64_t tokens = 60) {
  const Layer layer(choice);
  return layer.rule().coefficients(random_input(3, tokens) * width, layer.weights()).value();
}

Tensor unit_vectors(std::int64_t count) {
  Tensor keys = at::zeros({count, K}, at::kDouble);
  fill(keys, {.kind = Initial::Kind::normal, .a = 1}, 11, "keys");
  return keys / keys.norm(2, -1, true);
}

double most(const Tensor& values) { return values.max().item<double>(); }
double least(const Tensor& values) { return values.min().item<double>(); }

// α as (N,K), whether there is none, one a head or one a channel.
Tensor decay_NK(const Coefficients& gates) {
  if (!gates.log_alpha.defined()) return at::ones_like(gates.beta).reshape({-1, 1}).expand({-1, K});
  const Tensor alpha = gates.log_alpha.exp();
  return alpha.dim() == 4 ? alpha.reshape({-1, K}) : alpha.reshape({-1, 1}).expand({-1, K});
}

// ν = μ/α (N); without decay, or where a scalar μ stands by itself, that is what the rule calls ν only under
// escrow.
Tensor share_N(const Coefficients& gates) {
  const bool is_nu = gates.mu_shares_alpha || !gates.log_alpha.defined();
  return (is_nu ? gates.log_mu : gates.log_mu - gates.log_alpha).exp().reshape(-1);
}

// How much one step without values can lengthen (S − M, √c M), over that of the decay alone: the norm of
//
//     [S; M] ↦ [(A − βη·k pᵀ)S − β·diag(μ)M ; η·k pᵀ S + diag(μ)M] ,  A = diag(α), p = πα∘k
//
// in those coordinates, divided by max(α), for a random key a token.
double worst_growth(const Coefficients& gates, double c) {
  const Tensor alpha = decay_NK(gates);
  const std::int64_t N = alpha.size(0);
  const Tensor k = unit_vectors(N);
  const auto scalar = [&](const Tensor& gate) { return gate.reshape({N, 1, 1}); };
  Tensor log_mu = gates.log_mu.unsqueeze(-1).expand({-1, -1, -1, K});
  if (gates.mu_shares_alpha) log_mu = log_mu + gates.log_alpha;
  const Tensor mu = at::diag_embed(log_mu.exp().reshape({N, K}));
  const Tensor share = gates.erase_share.defined() ? gates.erase_share : at::ones_like(gates.beta);
  const Tensor write = scalar(gates.eta * share) * (k.unsqueeze(2) * (alpha * k).unsqueeze(1));
  const Tensor beta = scalar(gates.beta);
  const Tensor step =
      at::cat({at::cat({at::diag_embed(alpha) - beta * write, -beta * mu}, 2), at::cat({write, mu}, 2)}, 1);
  const Tensor one = at::eye(K, at::kDouble), none = at::zeros_like(one);
  const double root = std::sqrt(c);
  const Tensor into = at::cat({at::cat({one, -one}, 1), at::cat({none, one * root}, 1)}, 0);
  const Tensor back = at::cat({at::cat({one, one / root}, 1), at::cat({none, one / root}, 1)}, 0);
  const Tensor norm = at::linalg_matrix_norm(at::matmul(into, at::matmul(step, back)), 2);
  return most(norm / alpha.amax(-1));
}

class EscrowOf : public testing::TestWithParam<LayerCase> {
 protected:
  const at::NoGradGuard no_grad_;
};

INSTANTIATE_TEST_SUITE_P(Rules, EscrowOf,
                         testing::Values(LayerCase{"mdn", {"gate_constraint=escrow"}},
                                         LayerCase{"delta_momentum", {"gate_constraint=escrow"}},
                                         LayerCase{"kda_momentum", {}},
                                         LayerCase{"kda_momentum", {"erase_share=true"}},
                                         LayerCase{"mdn", {"gate_constraint=escrow", "erase_share=true"}}),
                         [](const auto& info) { return info.param.name(); });

TEST_P(EscrowOf, NoStepGrows) {
  for (const double c : {0.05, 0.5, 1.0, 2.0, 30.0}) {
    for (const double theta : {0.3, 0.95, 0.999}) {
      LayerCase choice = GetParam();
      choice.options.push_back("escrow_c=" + std::to_string(c));
      choice.options.push_back("escrow_theta=" + std::to_string(theta));
      const Coefficients gates = gates_of(choice);
      EXPECT_LE(worst_growth(gates, c), 1 + 1e-12) << "c = " << c << ", theta = " << theta;

      const Tensor nu = share_N(gates), square = nu.square();
      EXPECT_GE(least(nu), 0.01 * (1 - 1e-12));
      EXPECT_LT(most(nu), 1);
      EXPECT_GT(most(nu) / least(nu), 3) << "ν hardly moves";
      const Tensor u = (gates.eta.reshape(-1) / nu);
      const Tensor erased = gates.erase_share.defined() ? u * gates.erase_share.reshape(-1) : u;
      const Tensor bound = 2 * c * (1 - square) / ((1 + c) * (1 + c * square));
      EXPECT_LE(most(erased / bound), theta * (1 + 1e-12));
      EXPECT_GT(most(u) / least(u), 3) << "u hardly moves";
      EXPECT_LT((gates.beta.reshape(-1) - (1 - nu) / nu).abs().div(1 + 1 / nu).max().item<double>(), 1e-12);
    }
  }
}

TEST_P(EscrowOf, ItsFirstStepsAreNearTheDeltaRules) {
  for (const std::string c : {"0.5", "1", "2", "4"}) {
    LayerCase choice = GetParam();
    choice.options.push_back("escrow_c=" + c);
    const Coefficients gates = gates_of(choice, 0);  // b = m = e = 0
    const Tensor nu = share_N(gates);
    const double erased =
        (gates.eta.reshape(-1) / nu).mean().item<double>() * (gates.erase_share.defined() ? 0.5 : 1);
    EXPECT_NEAR(most(nu), (1 - erased) / (1 + erased), 1e-12) << "c = " << c;
  }
}

// The test above can fail: the other choices do grow.
TEST(Escrow, IsTheOnlyChoiceWithoutGrowth) {
  const at::NoGradGuard no_grad;
  for (const std::string constraint : {"none", "effective_step"}) {
    EXPECT_GT(worst_growth(gates_of({"delta_momentum", {"gate_constraint=" + constraint}}), 2), 1.01)
        << constraint;
    EXPECT_GT(worst_growth(gates_of({"kda_momentum", {"gate_constraint=" + constraint}}), 2), 1.01)
        << constraint;
  }
}

// The largest ‖S_t‖ of unit keys over the largest ‖v‖, by the scan itself.
double worst_memory(const std::vector<std::string>& options) {
  const Coefficients gates = gates_of({"family", options}, 1, 400);
  const std::int64_t B = gates.beta.size(0), T = gates.beta.size(1), H = gates.beta.size(2);
  const Tensor keys =
      at::ones_like(gates.beta).unsqueeze(-1).expand({B, T, H, K}) / std::sqrt(static_cast<double>(K));
  const Tensor values = at::ones_like(gates.beta).unsqueeze(-1);
  double worst = 0;
  for (const std::int64_t tokens : {std::int64_t{1}, std::int64_t{7}, std::int64_t{50}, T}) {
    const auto first = [&](const Tensor& x) { return x.defined() ? x.narrow(1, 0, tokens) : x; };
    const scan::Outputs out = scan::chunk({.q_BTGK = first(keys).contiguous(),
                                           .k_BTGK = first(keys).contiguous(),
                                           .v_BTHV = first(values).contiguous(),
                                           .log_alpha = first(gates.log_alpha),
                                           .log_mu = first(gates.log_mu),
                                           .mu_shares_alpha = gates.mu_shares_alpha,
                                           .beta_BTH = first(gates.beta),
                                           .eta_BTH = first(gates.eta)},
                                          {.want_state = true});
    worst = std::max(worst, most(out.final_S_NHKV.norm(2, {2, 3}, false)));
  }
  return worst;
}

TEST(Escrow, WithoutDeltaHoldsNoMoreThanOneValue) {
  const at::NoGradGuard no_grad;
  for (const std::string decay : {"scalar", "channel"}) {
    EXPECT_LE(worst_memory({"delta=false", "decay=" + decay, "gate_constraint=escrow"}), 1 + 1e-12) << decay;
    EXPECT_GT(worst_memory({"delta=false", "decay=" + decay, "gate_constraint=effective_step"}), 1.5)
        << decay;
  }
}

TEST(Paper, SharesOneBudgetBetweenWritingAndKeeping) {
  const at::NoGradGuard no_grad;
  const auto budget = [](const LayerCase& choice) {
    const Coefficients gates = gates_of(choice);
    return most(gates.beta.reshape(-1) + decay_NK(gates).amax(-1));
  };
  for (const std::string delta : {"true", "false"}) {
    for (const std::string decay : {"scalar", "channel"}) {
      const std::vector<std::string> cell{"delta=" + delta, "decay=" + decay};
      EXPECT_LE(budget({"family", {cell[0], cell[1], "gate_constraint=paper"}}), 1 + 1e-12);
      EXPECT_GT(budget({"family", {cell[0], cell[1], "gate_constraint=none"}}), 1.2);
    }
  }
}

TEST(EffectiveStep, ReachesNoFurtherThanAStepWithoutMomentum) {
  const at::NoGradGuard no_grad;
  // Σ of what a write adds at constant gates, up to decay.
  const auto reach = [](const std::string& constraint, const std::string& delta, const std::string& decay) {
    const Coefficients gates =
        gates_of({"family", {"delta=" + delta, "decay=" + decay, "gate_constraint=" + constraint}});
    const Tensor nu = decay == "channel" ? share_N(gates) : gates.log_mu.exp().reshape(-1);
    const Tensor eta = gates.eta.defined() ? gates.eta : at::ones_like(gates.beta);
    return (gates.beta * eta).reshape(-1) / (1 - nu);
  };
  for (const std::string delta : {"true", "false"}) {
    for (const std::string decay : {"none", "scalar", "channel"}) {
      const Tensor constrained = reach("effective_step", delta, decay);
      EXPECT_LE(most(constrained), 1 + 1e-9);
      EXPECT_GT(most(constrained), 0.9);
      EXPECT_LT(least(constrained), 0.1);
      EXPECT_GT(most(reach("none", delta, decay)), 2);
    }
  }
}

}  // namespace
}  // namespace mdnlab
