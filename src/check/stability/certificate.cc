#include "check/stability/certificate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/random.h"
#include "check/stability/search.h"

namespace mdnlab::stability {

namespace {

constexpr std::size_t K = certificate_width;
constexpr double rounding = 1e-12;

double squared(const std::array<double, K>& x) {
  double sum = 0;
  for (const double value : x) sum += value * value;
  return sum;
}

double norm_of(const Certificate& certificate, const State<K>& state) {
  switch (certificate.norm) {
    case Certificate::Norm::sum: return std::sqrt(squared(state.s)) + std::sqrt(squared(state.m));
    case Certificate::Norm::escrow: {
      State<K> arrived;
      for (std::size_t i = 0; i < K; ++i) arrived.s[i] = state.s[i] - state.m[i];
      return squared(arrived.s) + certificate.c * squared(state.m);
    }
    case Certificate::Norm::memory:
    case Certificate::Norm::none: break;
  }
  return squared(state.s);
}

// A step in a point of the cube: the variables, the other channels' decay, the key, the state.
struct Step {
  Token<K> token;
  State<K> state;
};

std::size_t dimensions(const GateSet& set) {
  return set.variables.size() + (set.is_channel_wise ? K - 1 : 0) + (K + 1) + 2 * K;
}

Step step_at(const GateSet& set, const Point& point) {
  const double* unit = point.data();
  std::vector<double> values = set.values(std::span(point).first(set.variables.size()));
  unit += set.variables.size();
  Step step;
  step.token = same_in_every_channel<K>(set.gate(values), {});
  if (set.is_channel_wise) {
    const std::size_t decay = set.index("decay");
    for (std::size_t channel = 1; channel < K; ++channel) {
      values[decay] = set.value(decay, *unit++);
      const Gate gate = set.gate(values);
      step.token.alpha[channel] = gate.alpha;
      step.token.mu[channel] = gate.mu;
    }
  }
  const double length = std::sqrt(*unit++);
  for (double& x : step.token.key) x = 2 * *unit++ - 1;
  const double size = std::sqrt(squared(step.token.key));
  for (double& x : step.token.key) x *= size > 0 ? length / size : 0;
  for (double& x : step.state.s) x = 2 * *unit++ - 1;
  for (double& x : step.state.m) x = 2 * *unit++ - 1;
  if (!set.has_momentum) step.state.m.fill(0);
  return step;
}

double ratio_at(const GateSet& set, const Point& point) {
  const Step step = step_at(set, point);
  return certificate_ratio(set.certificate, step.state, step.token);
}

}  // namespace

double certificate_ratio(const Certificate& certificate, const State<K>& before, const Token<K>& token) {
  const double alpha =
      certificate.norm == Certificate::Norm::sum ? 1 : *std::ranges::max_element(token.alpha);
  const double allowed = alpha * alpha * norm_of(certificate, before),
               now = norm_of(certificate, advance(before, token));
  if (allowed == 0) return now == 0 ? 0 : std::numeric_limits<double>::infinity();
  return now / allowed;
}

bool CertificateCheck::holds() const { return std::max(worst_random, worst_adversarial) <= 1 + rounding; }

CertificateCheck check_certificate(const GateSet& set, std::int64_t random_steps, std::uint64_t seed) {
  CertificateCheck check{.random_steps = random_steps};
  Random random{seed, dimensions(set)};
  Point point(dimensions(set));
  for (std::int64_t i = 0; i < random_steps; ++i) {
    for (double& x : point) x = random.uniform();
    check.worst_random = std::max(check.worst_random, ratio_at(set, point));
  }
  check.worst_adversarial =
      maximize({.dimensions = dimensions(set), .seed = seed, .points = 1024}, [&](const Point& p) {
        return ratio_at(set, p);
      }).value;
  return check;
}

}  // namespace mdnlab::stability
