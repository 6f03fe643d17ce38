#include "scan/batched/chunk_tokens.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <limits>

#include "scan/prepared.h"

namespace mdnlab::scan::batched {

namespace {

// [E,C,X] → [E,C,1]. Only the sum of numbers, and one below the largest, minus itself is 0.
at::Tensor are_numbers(const at::Tensor& rows_ECX) {
  const at::Tensor sum = rows_ECX.sum(-1, true);
  return sum.sub(sum).eq(0);
}
// NaN is the largest of all, and not less than infinity.
at::Tensor are_log_gates(const at::Tensor& rows_ECW) {
  return rows_ECW.amax(-1, true).lt(std::numeric_limits<double>::infinity());
}

at::Tensor sum_of_shared(const at::Tensor& value_BTHX, std::int64_t key_heads) {
  const std::int64_t share = value_BTHX.size(2) / key_heads;
  return share == 1 ? value_BTHX : value_BTHX.unflatten(2, {key_heads, share}).sum(3);
}

// Of a gate [B,T,H] or [B,T,H,K].
at::Tensor in_layout_of(const at::Tensor& gate, const at::Tensor& value_BTHX) {
  if (gate.dim() == 4) return value_BTHX;
  return value_BTHX.size(3) == 1 ? value_BTHX.squeeze(3) : value_BTHX.sum(3);
}

}  // namespace

ChunkTokens ChunkTokens::narrow(std::int64_t first, std::int64_t count) const {
  ChunkTokens part = *this;
  for (at::Tensor* tensor : {&part.q, &part.k, &part.v, &part.p, &part.log_alpha, &part.log_mu, &part.beta,
                             &part.eta, &part.poison}) {
    if (tensor->defined()) *tensor = tensor->narrow(0, first, count);
  }
  return part;
}

ChunkTokens chunk_tokens(const Inputs& in, const Packing& packing) {
  const auto dtype = in.q_BTGK.options().dtype(compute_dtype(in));
  const std::int64_t E = packing.batch(), C = packing.chunk_size(), K = in.q_BTGK.size(3);
  ChunkTokens x{.q = packing.pack(in.q_BTGK).to(dtype),
                .k = packing.pack(in.k_BTGK).to(dtype),
                .v = packing.pack(in.v_BTHV).to(dtype),
                .look_ahead = in.look_ahead};
  x.log_alpha = in.log_alpha.defined() ? packing.pack(in.log_alpha) : at::zeros({E, C, 1}, dtype);
  if (in.log_mu.defined()) {
    x.log_mu = packing.pack(in.log_mu);
    if (has_channel_decay(in)) x.log_mu = x.log_mu.expand({E, C, K}).contiguous();
  }
  x.beta = in.beta_BTH.defined() ? packing.pack(in.beta_BTH) : at::ones({E, C, 1}, dtype);
  x.eta = in.eta_BTH.defined() ? packing.pack(in.eta_BTH) : at::ones({E, C, 1}, dtype);
  if (in.p_BTHK.defined()) x.p = packing.pack(in.p_BTHK).to(dtype);

  at::Tensor is_good = are_log_gates(x.log_alpha);
  if (x.log_mu.defined()) is_good.bitwise_and_(are_log_gates(x.log_mu));
  for (const at::Tensor* rows : {&x.q, &x.k, &x.v, &x.p, &x.beta, &x.eta}) {
    if (rows->defined()) is_good.bitwise_and_(are_numbers(*rows));
  }
  const at::Tensor is_bad = is_good.bitwise_not();
  const at::Tensor bad_rows_so_far = at::ones({C, C}, dtype).tril().matmul(is_bad.to(dtype.dtype()));
  x.poison = at::zeros({E, C, 1}, dtype)
                 .masked_fill_(bad_rows_so_far.gt(0), std::numeric_limits<double>::quiet_NaN());
  const at::Tensor is_neutral = is_bad.bitwise_or(packing.is_pad());
  for (at::Tensor* tensor : {&x.q, &x.k, &x.v, &x.p, &x.log_alpha, &x.log_mu, &x.beta, &x.eta}) {
    if (tensor->defined()) tensor->masked_fill_(is_neutral, 0);
  }
  if (in.has_delta && !x.p.defined()) x.p = x.k * x.log_alpha.exp();
  return x;
}

Inputs adjoint_of_chunk_tokens(const Inputs& in, const Packing& packing, const ChunkTokens& x, ChunkTokens d,
                               const std::array<bool, kTensors>& wanted) {
  if (in.has_delta && !in.p_BTHK.defined()) {
    d.k = d.k + d.p * x.log_alpha.exp();
    const at::Tensor by_channel = d.p * x.p;
    d.log_alpha = d.log_alpha + (x.gate_width() == 1 ? by_channel.sum(-1, true) : by_channel);
  }
  Inputs out;
  const auto adjoint = tensors(out);
  const std::array<const at::Tensor*, kTensors - 2> packed{&d.q,      &d.k,    &d.v,   &d.log_alpha,
                                                           &d.log_mu, &d.beta, &d.eta, &d.p};
  for (std::size_t i = 0; i < packed.size(); ++i) {
    const at::Tensor& given = *tensors(in)[i];
    if (!wanted[i] || !given.defined()) continue;
    const at::Tensor value_BTHX = packing.unpack(*packed[i]);
    const bool is_shared = tensors(in)[i] == &in.q_BTGK || tensors(in)[i] == &in.k_BTGK;
    const bool is_gate = i >= 3 && i < 7;
    *adjoint[i] = (is_shared ? sum_of_shared(value_BTHX, given.size(2))
                   : is_gate ? in_layout_of(given, value_BTHX)
                             : value_BTHX)
                      .to(given.scalar_type());
  }
  return out;
}

}  // namespace mdnlab::scan::batched
