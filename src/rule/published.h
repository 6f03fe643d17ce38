// Initial values and gate forms that several published layers share (recurrences.md's section on gates).
#pragma once

#include <ATen/core/Tensor.h>

#include "config/params.h"
#include "rule/coefficients.h"

namespace mdnlab::published {

// A_log, dt_bias: one of each a head, exp(A_log) ~ U(0, 16), softplus(dt_bias) log-uniform in (1e-3, 0.1).
std::vector<ParameterSpec> decay_parameters(std::int64_t heads);

// A_log a head, exp(A_log) ~ U(1, 16); dt_bias a channel, as above.
std::vector<ParameterSpec> channel_decay_parameters(std::int64_t heads, std::int64_t key_width);

// Mu_log, mu_bias: as A_log and dt_bias of a scalar decay.
std::vector<ParameterSpec> momentum_parameters(std::int64_t heads);

// log α = −exp(A_log) · softplus(a + dt_bias), from the gate a (B,T,H)
at::Tensor log_decay(const GateInputs& inputs);

// The same from the gate f (B,T,H,K).
at::Tensor log_channel_decay(const GateInputs& inputs);

// log μ = −exp(Mu_log) · softplus(m + mu_bias), not below min_log_mu where the options set it.
at::Tensor log_momentum(const GateInputs& inputs, const Params& options);

// η = 1 + tanh(e/τ), τ = √(hidden / tau_factor)
at::Tensor inner_rate(const GateInputs& inputs, const Params& options, const LayerShape& shape);

}  // namespace mdnlab::published
