#include "scan/batched/passage.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>

namespace mdnlab::scan::batched {

namespace {

at::Tensor joined(const at::Tensor& first, const at::Tensor& second) {
  return at::stack({first, second}, 2).flatten(1, 3);
}

// Of a half's last token: what the whole half does.
at::Tensor last(const at::Tensor& half) { return half.slice(2, half.size(2) - 1); }

at::Tensor over_tokens(const at::Tensor& half) { return half.sum(2, true); }

}  // namespace

Halves halves(const at::Tensor& value, std::int64_t size) {
  const at::Tensor pairs = value.unflatten(1, {value.size(1) / (2 * size), 2, size});
  return {pairs.select(2, 0), pairs.select(2, 1)};
}

at::Tensor row_before(const at::Tensor& value, double initial) {
  return at::constant_pad_nd(value.slice(-2, 0, value.size(-2) - 1), {0, 0, 1, 0}, initial);
}

at::Tensor adjoint_of_row_before(const at::Tensor& adjoint) {
  return at::constant_pad_nd(adjoint.slice(-2, 1), {0, 0, 0, 1}, 0);
}

Passage passage_of_tokens(const at::Tensor& log_alpha, const at::Tensor& log_mu, const at::Tensor& beta) {
  Passage passage{.log_a = log_alpha, .G = beta.expand_as(log_alpha)};
  if (log_mu.defined()) {
    passage.log_m = log_mu;
    passage.b = beta * log_mu.exp();
    passage.log_R = at::zeros_like(log_mu);
  }
  return passage;
}

Passage doubled(const Passage& x, std::int64_t size) {
  const auto log_a = halves(x.log_a, size), G = halves(x.G, size);
  Passage y;
  y.log_a = joined(log_a.first, log_a.second + last(log_a.first));
  at::Tensor G_first = G.first * last(log_a.second).exp();
  if (x.has_momentum()) {
    const auto log_m = halves(x.log_m, size), b = halves(x.b, size), log_R = halves(x.log_R, size);
    y.log_m = joined(log_m.first, log_m.second + last(log_m.first));
    y.b = joined(b.first, log_a.second.exp() * last(b.first) + b.second * last(log_m.first).exp());
    y.log_R = joined(log_R.first + last(log_m.second), log_R.second);
    G_first = G_first + last(b.second) * log_R.first.exp();
  }
  y.G = joined(G_first, G.second);
  return y;
}

Passage adjoint_of_doubled(const Passage& d, const Passage& x, std::int64_t size) {
  const auto log_a = halves(x.log_a, size), G = halves(x.G, size);
  const auto d_log_a = halves(d.log_a, size), d_G = halves(d.G, size);
  const at::Tensor a_of_second = last(log_a.second).exp();
  // Of a half's tokens, then of the whole half, which is its last token.
  at::Tensor first_log_a = d_log_a.first.clone(), second_log_a = d_log_a.second.clone();
  last(first_log_a) += over_tokens(d_log_a.second);
  last(second_log_a) += a_of_second * over_tokens(G.first * d_G.first);
  Passage y{.G = joined(d_G.first * a_of_second, d_G.second)};
  if (x.has_momentum()) {
    const auto log_m = halves(x.log_m, size), b = halves(x.b, size), log_R = halves(x.log_R, size);
    const auto d_log_m = halves(d.log_m, size), d_b = halves(d.b, size), d_log_R = halves(d.log_R, size);
    const at::Tensor a_second = log_a.second.exp(), R_first = log_R.first.exp();
    const at::Tensor m_of_first = last(log_m.first).exp();
    at::Tensor first_log_m = d_log_m.first.clone(), second_log_m = d_log_m.second.clone();
    at::Tensor first_b = d_b.first.clone(), second_b = d_b.second * m_of_first;
    second_log_a += a_second * last(b.first) * d_b.second;
    last(first_b) += over_tokens(a_second * d_b.second);
    last(first_log_m) += over_tokens(d_log_m.second) + m_of_first * over_tokens(b.second * d_b.second);
    last(second_b) += over_tokens(R_first * d_G.first);
    last(second_log_m) += over_tokens(d_log_R.first);
    y.log_m = joined(first_log_m, second_log_m);
    y.b = joined(first_b, second_b);
    y.log_R = joined(d_log_R.first + last(b.second) * R_first * d_G.first, d_log_R.second);
  }
  y.log_a = joined(first_log_a, second_log_a);
  return y;
}

}  // namespace mdnlab::scan::batched
