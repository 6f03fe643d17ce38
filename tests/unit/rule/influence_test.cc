// c(t,i) against what it means: products of the recurrence's own transitions, and outputs put together again
// from the values.
#include "rule/influence.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/diag.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "as_written.h"
#include "layer.h"

namespace mdnlab {
namespace {

using namespace as_written;
using at::Tensor;

Tensor uniform(std::vector<std::int64_t> shape, double low, double high, std::uint64_t seed) {
  Tensor tensor = at::zeros(shape, at::kDouble);
  fill(tensor, {.kind = Initial::Kind::uniform, .a = low, .b = high}, seed, "values");
  return tensor;
}

struct Switches {
  bool delta, momentum, by_channel;
  double look_ahead = 0;
};

void PrintTo(const Switches& given, std::ostream* stream) {
  *stream << (given.delta ? "delta " : "") << (given.momentum ? "momentum " : "")
          << (given.by_channel ? "by channel" : "");
}

constexpr std::int64_t T = 70, H = 2, K = 5;  // more than a chunk

scan::Inputs inputs_of(const Switches& given) {
  scan::Inputs inputs{
      .q_BTGK = uniform({1, T, H, K}, -1, 1, 1),
      .k_BTGK = uniform({1, T, H, K}, -0.6, 0.6, 2),
      .v_BTHV = uniform({1, T, H, 3}, -1, 1, 3),
      .log_alpha = given.by_channel ? uniform({1, T, H, K}, -0.3, 0, 4) : uniform({1, T, H}, -0.3, 0, 4),
      .beta_BTH = uniform({1, T, H}, 0.2, 0.9, 5),
      .eta_BTH = uniform({1, T, H}, 0.5, 1, 6),
      .has_delta = given.delta};
  if (given.momentum) {
    inputs.log_mu = uniform({1, T, H}, -2, -0.1, 7);
    inputs.mu_shares_alpha = given.by_channel;
    inputs.look_ahead = given.look_ahead;
  }
  return inputs;
}

// Head h: c(t,i) = [q_t; −ω q_t]ᵀ A_t … A_{i+1} [βη k; −η k]_i with X = [S; M], X_t = A_t X_{t−1} + … v_tᵀ.
Tensor by_products(const scan::Inputs& in, std::int64_t h) {
  Tensor c = at::zeros({T, T}, at::kDouble);
  std::vector<Tensor> transitions, writes;
  for (std::int64_t t = 0; t < T; ++t) {
    const Tensor k = in.k_BTGK[0][t][h], alpha = in.log_alpha[0][t][h].exp() * at::ones({K}, at::kDouble);
    Tensor mu = at::zeros({K}, at::kDouble);
    if (in.log_mu.defined()) mu = in.log_mu[0][t][h].exp() * (in.mu_shares_alpha ? alpha : at::ones_like(k));
    const Tensor p = in.has_delta ? alpha * k : at::zeros({K}, at::kDouble);
    const Tensor beta = in.beta_BTH[0][t][h], eta = in.eta_BTH[0][t][h], erase = eta * at::outer(k, p);
    transitions.push_back(at::cat({at::cat({at::diag(alpha) - beta * erase, -beta * at::diag(mu)}, 1),
                                   at::cat({erase, at::diag(mu)}, 1)}));
    writes.push_back(at::cat({beta * eta * k, -eta * k}));
  }
  for (std::int64_t i = 0; i < T; ++i) {
    Tensor left = writes[static_cast<std::size_t>(i)];
    for (std::int64_t t = i; t < T; ++t) {
      if (t > i) left = transitions[static_cast<std::size_t>(t)].mv(left);
      const Tensor q = in.q_BTGK[0][t][h];
      c[t][i] = at::cat({q, -in.look_ahead * q}).dot(left);
    }
  }
  return c;
}

class ScanInfluence : public testing::TestWithParam<Switches> {};

TEST_P(ScanInfluence, IsTheProductOfTheTransitions) {
  const scan::Inputs inputs = inputs_of(GetParam());
  const Tensor all = scan_influence(inputs, 0, T), some = scan_influence(inputs, 11, 6);
  for (std::int64_t h = 0; h < H; ++h) {
    const Tensor expected = by_products(inputs, h);
    EXPECT_LT(relative_error(all[0].select(1, h), expected), 1e-12);
    EXPECT_LT(relative_error(some[0].select(1, h), expected.narrow(1, 11, 6)), 1e-12);
  }
}

TEST_P(ScanInfluence, PutsTheOutputsTogether) {
  const scan::Inputs inputs = inputs_of(GetParam());
  const Tensor c = scan_influence(inputs, 0, T);
  EXPECT_LT(relative_error(at::einsum("bthi,bihv->bthv", {c, inputs.v_BTHV}), scan::reference(inputs).o_BTHV),
            1e-12);
}

INSTANTIATE_TEST_SUITE_P(Family, ScanInfluence,
                         testing::Values(Switches{false, false, false}, Switches{true, false, false},
                                         Switches{false, true, false}, Switches{true, true, false, 0.5},
                                         Switches{false, false, true}, Switches{true, false, true},
                                         Switches{true, true, true, 1}));

TEST(ScanInfluence, OfPlainDecayIsTheProductOfAlphas) {
  scan::Inputs inputs = inputs_of({false, false, false});
  inputs.q_BTGK = inputs.k_BTGK = at::ones({1, T, H, 1}, at::kDouble);
  inputs.beta_BTH = inputs.eta_BTH = Tensor();
  const Tensor c = scan_influence(inputs, 0, T), sums = inputs.log_alpha.cumsum(1);
  for (const auto& [t, i] : {std::pair{0, 0}, {69, 69}, {9, 3}, {69, 0}, {64, 63}}) {
    for (std::int64_t h = 0; h < H; ++h) {
      EXPECT_NEAR(c[0][t][h][i].item<double>(), (sums[0][t][h] - sums[0][i][h]).exp().item<double>(), 1e-14);
    }
  }
  EXPECT_EQ(c[0][3][0][4].item<double>(), 0) << "the future";
}

class LayerInfluence : public testing::TestWithParam<LayerCase> {};

// y = W_o norm(Σ_i c(t,i) v_i), with v as the layer's own weights make it.
TEST_P(LayerInfluence, PutsTheLayersOutputTogether) {
  const at::NoGradGuard no_grad;
  const Layer layer(GetParam());
  const Weights& w = layer.weights();
  const Tensor x = random_input(1, 20);
  const Tensor c = *layer.rule().influence(x, w, 0, 20);
  const std::int64_t heads = c.size(2);
  const Tensor written = x[0].matmul(w["v_proj.weight"].t());
  const bool convolves =
      std::ranges::any_of(w.all(), [](const auto& own) { return own.first == "v_conv1d.weight"; });
  const Tensor v =
      (convolves ? convolved(written, w["v_conv1d.weight"], {}) : swish(written)).view({1, 20, heads, -1});
  const Tensor o = at::einsum("bthi,bihv->bthv", {c, v});
  const Tensor y =
      root_mean_norm(o, w["o_norm.weight"], 1e-6).reshape({20, -1}).matmul(w["o_proj.weight"].t());
  EXPECT_LT(relative_error(layer.whole(x)[0], y), 1e-12);
}

std::vector<LayerCase> ungated_layers() {
  std::vector<LayerCase> cases{{"mdn", {"gate_constraint=none", "look_ahead=0.5"}},
                               {"gated_deltanet", {"num_v_heads=4", "output_correction=true"}},
                               {"deltanet", {"use_short_conv=false"}},
                               {"kda", {}},
                               {"kda_momentum", {"erase_share=true", "look_ahead=1", "escrow_c=1"}},
                               {"delta_momentum", {"gate_constraint=escrow", "erase_share=true"}},
                               {"scalar_ssd", {"num_v_heads=6"}}};
  for (LayerCase& cell : family_cells()) cases.push_back(std::move(cell));
  for (LayerCase& layer : cases) layer.options.push_back("output_gate=none");
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Rules, LayerInfluence, testing::ValuesIn(ungated_layers()),
                         [](const auto& param_info) { return param_info.param.name(); });

TEST(LayerInfluence, OfAttentionIsItsSoftmax) {
  const at::NoGradGuard no_grad;
  for (const char* const window : {"3", "100"}) {
    const Layer layer({"sliding_attention", {"window=" + std::string(window), "num_kv_heads=1"}});
    const Tensor x = random_input(1, 20);
    const Tensor c = *layer.rule().influence(x, layer.weights(), 0, 20);
    ASSERT_EQ(c.sizes(), at::IntArrayRef({1, 20, 2, 20}));
    EXPECT_GE(c.min().item<double>(), 0);
    EXPECT_LT((c.sum(-1) - 1).abs().max().item<double>(), 1e-12);
    EXPECT_EQ((c[0][10].select(1, 5) > 0).all().item<bool>(), std::string(window) == "100");
    const Tensor v = x[0].matmul(layer.weights()["v_proj.weight"].t());
    const Tensor y = at::einsum("thi,iv->thv", {c[0], v}).reshape({20, -1});
    EXPECT_LT(relative_error(layer.whole(x)[0], y.matmul(layer.weights()["o_proj.weight"].t())), 1e-12);
  }
}

class Mamba2Influence : public testing::Test {
 protected:
  Mamba2Influence() {
    w["D"].copy_(uniform({4}, -1, 2, 9));  // its start is 1 for every head
    const auto parts = x[0].matmul(w["in_proj.weight"].t()).split_with_sizes({16, 22, 4}, 1);
    const auto streams =
        convolved(parts[1], w["conv1d.weight"], w["conv1d.bias"]).split_with_sizes({16, 3, 3}, 1);
    z = parts[0], v = streams[0], B = streams[1], C = streams[2];
    step = (1 + (parts[2] + w["dt_bias"]).exp()).log();
  }

  const at::NoGradGuard no_grad;
  const Layer layer{{"mamba2", {"head_width=4", "state_size=3"}, 1}};
  const Weights& w = layer.weights();
  const Tensor x = random_input(1, 20);
  Tensor z, v, B, C, step;
};

TEST_F(Mamba2Influence, IsDecayTimesWhatIsWrittenAndReadAndTheSkip) {
  const Tensor c = *layer.rule().influence(x, w, 4, 3);
  ASSERT_EQ(c.sizes(), at::IntArrayRef({1, 20, 4, 3}));
  const Tensor sums = (-w["A_log"].exp() * step).cumsum(0);
  for (const auto& [t, i] : {std::pair{4, 4}, {19, 6}, {9, 5}, {6, 6}}) {
    const Tensor skip = t == i ? w["D"] : at::zeros({4}, at::kDouble);
    const Tensor expected = (sums[t] - sums[i]).exp() * step[i] * C[t].dot(B[i]) + skip;
    EXPECT_LT(relative_error(c[0][t].select(1, i - 4), expected), 1e-12);
  }
}

// out_proj( RMSNorm( Σ_i c(t,i) x_i · silu(z) ) )
TEST_F(Mamba2Influence, PutsTheLayersOutputTogether) {
  const Tensor c = *layer.rule().influence(x, w, 0, 20);
  const Tensor y = at::einsum("thi,ihv->thv", {c[0], v.view({20, 4, 4})}).reshape({20, 16});
  const Tensor normed = root_mean_norm(y * swish(z), w["norm.weight"], 1e-5);
  EXPECT_LT(relative_error(layer.whole(x)[0], normed.matmul(w["out_proj.weight"].t())), 1e-12);
}

}  // namespace
}  // namespace mdnlab
