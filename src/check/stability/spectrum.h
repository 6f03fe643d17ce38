// The four parts of a stability report (recurrences.md, section 5), for one rule and its gate constraint.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "check/stability/adversary.h"
#include "check/stability/certificate.h"
#include "check/stability/radius_map.h"
#include "check/stability/rotating_key.h"

namespace mdnlab::stability {

struct SpectrumOptions {
  std::optional<double> alpha;   // of the map, where it is no axis; else the first probe's, else 1
  std::int64_t cells = 160;      // of the map, a side
  int most_period = 4;           // of the adversary
  std::int64_t tokens = 600;     // of its trajectory
  std::int64_t steps = 200'000;  // random ones against the certificate
  std::uint64_t seed = 0;
};

struct Spectrum {
  GateSet set;
  RadiusMap map;                                // 1
  Constant worst_constant;                      // 2
  std::vector<Constant> probes;                 // 2, at the set's probes
  Attack attack;                                // 3
  std::vector<Moment> moments;                  // 3
  std::optional<CertificateCheck> certificate;  // 4

  // False: a certificate was broken, by a step of part 4 or by a growth of part 2 or 3.
  bool holds() const;
};

Spectrum spectrum(GateSet set, const SpectrumOptions& options);

}  // namespace mdnlab::stability
