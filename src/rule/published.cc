#include "rule/published.h"

namespace mdnlab::published {

namespace {

Initial rate_log(double least) { return {.kind = Initial::Kind::log_uniform, .a = least, .b = 16}; }

constexpr Initial rate_bias{.kind = Initial::Kind::inverse_softplus, .a = 1e-3, .b = 0.1};

}  // namespace

std::vector<ParameterSpec> decay_parameters(std::int64_t heads) {
  return {{"A_log", {heads}, rate_log(0)}, {"dt_bias", {heads}, rate_bias}};
}

std::vector<ParameterSpec> channel_decay_parameters(std::int64_t heads, std::int64_t key_width) {
  return {{"A_log", {heads}, rate_log(1)}, {"dt_bias", {heads * key_width}, rate_bias}};
}

std::vector<ParameterSpec> momentum_parameters(std::int64_t heads) {
  return {{"Mu_log", {heads}, rate_log(0)}, {"mu_bias", {heads}, rate_bias}};
}

}  // namespace mdnlab::published
