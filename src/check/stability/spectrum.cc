#include "check/stability/spectrum.h"

#include <algorithm>

namespace mdnlab::stability {

namespace {
constexpr double rounding = 1e-6;  // of a growth (plane.h)
}

bool Spectrum::holds() const {
  if (!certificate) return true;
  return certificate->holds() && std::max(worst_constant.turning.growth, attack.growth) <= 1 + rounding;
}

Spectrum spectrum(GateSet set, const SpectrumOptions& options) {
  Spectrum result;
  for (const Probe& probe : set.probes) result.probes.push_back(constant_at(set, probe));
  const double usual = result.probes.empty() ? 1 : result.probes.front().gate.alpha;
  result.map = radius_map(set, options.alpha.value_or(usual), options.cells);
  result.worst_constant = worst_constant(set, options.seed);
  result.attack = worst_attack(set, result.worst_constant, options.most_period, options.seed);
  result.moments = trajectory(result.attack, options.tokens);
  if (set.certificate.norm != Certificate::Norm::none)
    result.certificate = check_certificate(set, options.steps, options.seed);
  result.set = std::move(set);
  return result;
}

}  // namespace mdnlab::stability
