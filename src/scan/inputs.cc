#include "scan/inputs.h"

#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>

#include <algorithm>

namespace mdnlab::scan {

std::array<at::Tensor*, kTensors> tensors(Inputs& in) {
  return {&in.q_BTGK,   &in.k_BTGK,  &in.v_BTHV, &in.log_alpha,      &in.log_mu,
          &in.beta_BTH, &in.eta_BTH, &in.p_BTHK, &in.initial_S_NHKV, &in.initial_M_NHKV};
}

std::array<const at::Tensor*, kTensors> tensors(const Inputs& in) {
  return {&in.q_BTGK,   &in.k_BTGK,  &in.v_BTHV, &in.log_alpha,      &in.log_mu,
          &in.beta_BTH, &in.eta_BTH, &in.p_BTHK, &in.initial_S_NHKV, &in.initial_M_NHKV};
}

bool has_channel_decay(const Inputs& in) { return in.log_alpha.defined() && in.log_alpha.dim() == 4; }

bool has_channel_momentum(const Inputs& in) { return in.log_mu.defined() && in.log_mu.dim() == 4; }

Inputs with_own_mu(const Inputs& inputs) {
  Inputs out = inputs;
  if (inputs.mu_shares_alpha) out.log_mu = inputs.log_alpha + inputs.log_mu.unsqueeze(3);
  out.mu_shares_alpha = false;
  return out;
}

bool needs_gradient(const Inputs& in) {
  return c10::GradMode::is_enabled() && std::ranges::any_of(tensors(in), [](const at::Tensor* tensor) {
           return tensor->defined() && tensor->requires_grad();
         });
}

std::vector<std::int64_t> document_starts(const Inputs& inputs) {
  if (inputs.cu_seqlens.defined()) {
    const at::Tensor starts = inputs.cu_seqlens.to(at::kCPU).contiguous();
    const int* first = starts.const_data_ptr<int>();
    return {first, first + starts.numel()};
  }
  std::vector<std::int64_t> starts;
  for (std::int64_t row = 0; row <= inputs.q_BTGK.size(0); ++row)
    starts.push_back(row * inputs.q_BTGK.size(1));
  return starts;
}

}  // namespace mdnlab::scan
