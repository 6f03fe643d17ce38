// The step that stability is about is the scan's, and the growth of a matrix is its spectral radius.
#include "check/stability/step.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linalg_eigvals.h>
#include <ATen/ops/log.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "check/stability/plane.h"
#include "scan/chunk.h"

namespace mdnlab::stability {
namespace {

constexpr std::size_t K = 4;

at::Tensor tensor(const std::array<double, K>& x, std::vector<std::int64_t> shape) {
  return at::tensor(at::ArrayRef<double>(x.data(), K), at::kDouble).view(shape);
}

TEST(Step, IsTheScansWithoutAWrite) {
  Random random{1};
  for (int i = 0; i < 20; ++i) {
    Token<K> token{.beta = random.uniform(0, 2), .push = random.uniform(0, 2)};
    State<K> state;
    for (std::size_t c = 0; c < K; ++c) {
      token.alpha[c] = random.uniform();
      token.mu[c] = random.uniform();
      token.key[c] = random.uniform(-1, 1);
      state.s[c] = random.uniform(-1, 1);
      state.m[c] = random.uniform(-1, 1);
    }
    const scan::Outputs expected =
        scan::reference({.q_BTGK = at::zeros({1, 1, 1, K}, at::kDouble),
                         .k_BTGK = tensor(token.key, {1, 1, 1, K}),
                         .v_BTHV = at::zeros({1, 1, 1, 1}, at::kDouble),
                         .log_alpha = at::log(tensor(token.alpha, {1, 1, 1, K})),
                         .log_mu = at::log(tensor(token.mu, {1, 1, 1, K})),
                         .beta_BTH = at::tensor({token.beta}, at::kDouble).view({1, 1, 1}),
                         .eta_BTH = at::tensor({token.push}, at::kDouble).view({1, 1, 1}),
                         .has_delta = true,
                         .initial_S_NHKV = tensor(state.s, {1, 1, K, 1}),
                         .initial_M_NHKV = tensor(state.m, {1, 1, K, 1})});
    const State<K> next = advance(state, token);
    EXPECT_LT((tensor(next.s, {1, 1, K, 1}) - expected.final_S_NHKV).abs().max().item<double>(), 1e-14);
    EXPECT_LT((tensor(next.m, {1, 1, K, 1}) - expected.final_M_NHKV).abs().max().item<double>(), 1e-14);
  }
}

TEST(Growth, IsTheSpectralRadius) {
  Random random{2};
  for (int i = 0; i < 200; ++i) {
    Matrix matrix;
    for (double& entry : matrix) entry = random.uniform(-2, 2);
    const at::Tensor values = at::linalg_eigvals(at::from_blob(matrix.data(), {4, 4}, at::kDouble));
    ASSERT_NEAR(growth_of(matrix) / values.abs().max().item<double>(), 1, 1e-7);
  }
  EXPECT_EQ(growth_of({0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}), 0) << "nilpotent";
  EXPECT_NEAR(growth_of({1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1}), 1, 1e-6) << "one Jordan block";
}

}  // namespace
}  // namespace mdnlab::stability
