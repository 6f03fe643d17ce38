#include "scan/prepared.h"

#include "scan/inputs.h"

namespace mdnlab::scan {

at::ScalarType compute_dtype(const Inputs& inputs) {
  return inputs.q_BTGK.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

at::Tensor as_rows(const at::Tensor& value_BTHX) {
  const bool is_even =
      value_BTHX.size(0) == 1 || value_BTHX.stride(0) == value_BTHX.size(1) * value_BTHX.stride(1);
  return value_BTHX.stride(3) == 1 && is_even ? value_BTHX : value_BTHX.contiguous();
}

Prepared::Prepared(const Inputs& inputs, const at::Tensor& alpha, const at::Tensor& mu)
    : Inputs(inputs), alpha_BTH(alpha), mu_BTH(mu) {
  if (!has_channel_decay(inputs)) {
    if (log_alpha.defined() && !alpha.defined()) alpha_BTH = log_alpha.to(at::kDouble).exp().contiguous();
    if (log_mu.defined() && !mu.defined()) mu_BTH = log_mu.to(at::kDouble).exp().contiguous();
  }
  for (at::Tensor* tensor : tensors(*this)) {
    if (tensor->defined()) *tensor = tensor->to(compute_dtype(inputs));
  }
  for (at::Tensor* rows : {&q_BTGK, &k_BTGK, &v_BTHV, &p_BTHK}) {
    if (rows->defined()) *rows = as_rows(*rows);
  }
  for (at::Tensor* whole : {&log_alpha, &log_mu, &beta_BTH, &eta_BTH, &initial_S_NHKV, &initial_M_NHKV}) {
    if (whole->defined()) *whole = whole->contiguous();
  }
}

}  // namespace mdnlab::scan
