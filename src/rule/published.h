// Initial values and gate forms that several published layers share (recurrences.md's section on gates).
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "config/params.h"
#include "rule/coefficients.h"

namespace mdnlab::published {

// A_log, Mu_log: the log of a decay rate drawn from U(0, 16).
inline Initial rate_log() { return {.kind = Initial::Kind::log_uniform, .a = 0, .b = 16}; }

// dt_bias, mu_bias: softplus of it is log-uniform in (1e-3, 0.1).
inline Initial rate_bias() { return {.kind = Initial::Kind::inverse_softplus, .a = 1e-3, .b = 0.1}; }

std::vector<ParameterSpec> decay_parameters(std::int64_t heads);     // A_log, dt_bias
std::vector<ParameterSpec> momentum_parameters(std::int64_t heads);  // Mu_log, mu_bias

// Options that every momentum rule offers, for its table.
inline constexpr Field min_log_mu{.name = "min_log_mu",
                                  .type = Type::real,
                                  .preset = nullptr,
                                  .doc = "floor of log μ; the authors use −2, or −1 at 1.3B",
                                  .most = 0};
inline constexpr Field tau_factor{.name = "tau_factor",
                                  .type = Type::real,
                                  .preset = "1",
                                  .doc = "η = 1 + tanh(e/√(hidden/tau_factor)); the authors use 8 at 1.3B",
                                  .least = 1e-6};
inline constexpr Field output_correction(const char* preset) {
  return {.name = "output_correction",
          .type = Type::boolean,
          .preset = preset,
          .doc = "q ← q − exp(D_log)·k before normalisation"};
}

// log α = −exp(A_log) · softplus(a + dt_bias)
at::Tensor log_decay(const GateInputs& inputs);

// log μ = −exp(Mu_log) · softplus(m + mu_bias), not below min_log_mu where the options set it.
at::Tensor log_momentum(const GateInputs& inputs, const Params& options);

// η = 1 + tanh(e/τ), τ = √(hidden / tau_factor)
at::Tensor inner_rate(const GateInputs& inputs, const Params& options, const LayerShape& shape);

}  // namespace mdnlab::published
