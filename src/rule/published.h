// Initial values that several published layers share.
#pragma once

#include "rule/rule.h"

namespace mdnlab::published {

// A_log, dt_bias: one of each a head, exp(A_log) ~ U(0, 16), softplus(dt_bias) log-uniform in (1e-3, 0.1).
std::vector<ParameterSpec> decay_parameters(std::int64_t heads);

// A_log a head, exp(A_log) ~ U(1, 16); dt_bias a channel, as above.
std::vector<ParameterSpec> channel_decay_parameters(std::int64_t heads, std::int64_t key_width);

// Mu_log, mu_bias: as A_log and dt_bias of a scalar decay.
std::vector<ParameterSpec> momentum_parameters(std::int64_t heads);

}  // namespace mdnlab::published
