// Shape letters as in chunk.h; E = B·H, the batch of a matrix product.
#include "scan/reference.h"

#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <vector>

#include "scan/inputs.h"

namespace mdnlab::scan {

namespace {

using Tokens = std::vector<at::Tensor>;

// [B,T,H,X] → T tensors [E,1,X].
Tokens rows(const at::Tensor& value_BTHX) {
  return value_BTHX.transpose(1, 2).flatten(0, 1).unsqueeze(2).unbind(1);
}

// [B,T,H] → [B,T,H,1]; a channel-wise [B,T,H,K] as it is.
at::Tensor channels(const at::Tensor& gate) { return gate.dim() == 3 ? gate.unsqueeze(3) : gate; }

// Factors of the state's rows: T tensors [E,1,1] or, channel-wise, [E,K,1].
Tokens factors(const at::Tensor& gate) {
  return channels(gate).transpose(1, 2).flatten(0, 1).unsqueeze(3).unbind(1);
}

at::Tensor share_heads(const at::Tensor& value_BTGK, std::int64_t heads) {
  const std::int64_t share = heads / value_BTGK.size(2);
  return share == 1 ? value_BTGK : value_BTGK.repeat_interleave(share, 2);
}

at::Tensor initial(const at::Tensor& state_NHKV, const Inputs& in, std::int64_t documents) {
  if (state_NHKV.defined()) return state_NHKV;
  const auto dtype = in.q_BTGK.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  return at::zeros({documents, in.v_BTHV.size(2), in.q_BTGK.size(3), in.v_BTHV.size(3)},
                   in.q_BTGK.options().dtype(dtype));
}

// One document a row.
Outputs loop_rows(const Inputs& in) {
  const std::int64_t B = in.v_BTHV.size(0), T = in.v_BTHV.size(1), H = in.v_BTHV.size(2),
                     V = in.v_BTHV.size(3);
  const bool has_momentum = in.log_mu.defined();
  at::Tensor S_EKV = initial(in.initial_S_NHKV, in, B).flatten(0, 1);
  at::Tensor M_EKV = initial(in.initial_M_NHKV, in, B).flatten(0, 1);
  const auto state_dtype = S_EKV.scalar_type();

  const at::Tensor q_BTHK = share_heads(in.q_BTGK, H).to(state_dtype);
  at::Tensor k_BTHK = share_heads(in.k_BTGK, H).to(state_dtype);
  Tokens alpha, mu, beta, p;
  if (in.log_alpha.defined()) alpha = factors(in.log_alpha.exp());
  if (has_momentum) mu = factors(in.log_mu.exp());
  if (in.beta_BTH.defined()) beta = factors(in.beta_BTH);
  if (in.p_BTHK.defined()) {
    p = rows(in.p_BTHK.to(state_dtype));
  } else if (in.has_delta) {
    p = rows(alpha.empty() ? k_BTHK : k_BTHK.mul(channels(in.log_alpha).exp()));
  }
  if (in.eta_BTH.defined()) k_BTHK = k_BTHK.mul(in.eta_BTH.unsqueeze(3));
  const Tokens q = rows(q_BTHK), eta_k = rows(k_BTHK), v = rows(in.v_BTHV.to(state_dtype));

  Tokens o(T);
  for (std::int64_t t = 0; t < T; ++t) {
    const at::Tensor r_E1V = in.has_delta ? v[t].sub(at::bmm(p[t], S_EKV)) : v[t];
    const at::Tensor write_EKV = at::bmm(eta_k[t].transpose(1, 2), r_E1V);
    M_EKV = has_momentum ? mu[t].mul(M_EKV).sub(write_EKV) : write_EKV.neg();
    const at::Tensor step_EKV = beta.empty() ? M_EKV : beta[t].mul(M_EKV);
    S_EKV = (alpha.empty() ? S_EKV : alpha[t].mul(S_EKV)).sub(step_EKV);
    o[t] = at::bmm(q[t], in.look_ahead == 0 ? S_EKV : S_EKV.sub(M_EKV, in.look_ahead));
  }
  Outputs out;
  out.o_BTHV = T == 0 ? at::empty_like(in.v_BTHV)
                      : at::stack(o, 1).view({B, H, T, V}).transpose(1, 2).to(in.v_BTHV.scalar_type());
  out.final_S_NHKV = S_EKV.unflatten(0, {B, H});
  if (has_momentum) out.final_M_NHKV = M_EKV.unflatten(0, {B, H});
  return out;
}

// Tokens start..end of the flattened (B,T), as one row.
at::Tensor slice(const at::Tensor& value, std::int64_t start, std::int64_t end) {
  return value.defined() ? value.flatten(0, 1).slice(0, start, end).unsqueeze(0) : value;
}

at::Tensor document(const at::Tensor& state_NHKV, std::int64_t n) {
  return state_NHKV.defined() ? state_NHKV.slice(0, n, n + 1) : state_NHKV;
}

}  // namespace

Outputs loop(const Inputs& given) {
  validate(given);
  const Inputs in = with_own_mu(given);
  if (!in.cu_seqlens.defined()) return loop_rows(in);

  const at::Tensor starts = in.cu_seqlens.to(at::kCPU).contiguous();
  const int* start = starts.const_data_ptr<int>();
  const std::int64_t documents = starts.size(0) - 1;
  Tokens o, final_S, final_M;
  for (std::int64_t n = 0; n < documents; ++n) {
    const std::int64_t a = start[n], b = start[n + 1];
    const Outputs part = loop_rows({.q_BTGK = slice(in.q_BTGK, a, b),
                                    .k_BTGK = slice(in.k_BTGK, a, b),
                                    .v_BTHV = slice(in.v_BTHV, a, b),
                                    .log_alpha = slice(in.log_alpha, a, b),
                                    .log_mu = slice(in.log_mu, a, b),
                                    .beta_BTH = slice(in.beta_BTH, a, b),
                                    .eta_BTH = slice(in.eta_BTH, a, b),
                                    .has_delta = in.has_delta,
                                    .p_BTHK = slice(in.p_BTHK, a, b),
                                    .look_ahead = in.look_ahead,
                                    .initial_S_NHKV = document(in.initial_S_NHKV, n),
                                    .initial_M_NHKV = document(in.initial_M_NHKV, n),
                                    .cu_seqlens = {}});
    o.push_back(part.o_BTHV);
    final_S.push_back(part.final_S_NHKV);
    if (part.final_M_NHKV.defined()) final_M.push_back(part.final_M_NHKV);
  }
  if (documents == 0) return loop_rows(in);
  return {.o_BTHV = at::cat(o, 1).view(in.v_BTHV.sizes()),
          .final_S_NHKV = at::cat(final_S),
          .final_M_NHKV = final_M.empty() ? at::Tensor() : at::cat(final_M)};
}

Outputs reference(const Inputs& inputs) {
  Inputs wide = inputs;
  for (at::Tensor* tensor :
       {&wide.q_BTGK, &wide.k_BTGK, &wide.v_BTHV, &wide.log_alpha, &wide.log_mu, &wide.beta_BTH,
        &wide.eta_BTH, &wide.p_BTHK, &wide.initial_S_NHKV, &wide.initial_M_NHKV}) {
    if (tensor->defined()) *tensor = tensor->to(at::kDouble);
  }
  return loop(wide);
}

}  // namespace mdnlab::scan
