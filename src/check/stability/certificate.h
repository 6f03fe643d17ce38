// The certificate of a gate set, put to the test: steps that try to make its norm grow.
#pragma once

#include <cstdint>

#include "check/stability/gate_set.h"

namespace mdnlab::stability {

inline constexpr std::size_t certificate_width = 4;  // K of the steps that are tried

// W' over what the certificate allows it (α²W, with the largest α of the channels), for one step at v = 0.
double certificate_ratio(const Certificate& certificate, const State<certificate_width>& before,
                         const Token<certificate_width>& token);

struct CertificateCheck {
  std::int64_t random_steps = 0;
  double worst_random = 0;       // ratio; the certificate holds where it stays ≤ 1, up to rounding
  double worst_adversarial = 0;  // found by a search over gates, key and state

  bool holds() const;
};

// Keys of any length up to 1. The set has a certificate.
CertificateCheck check_certificate(const GateSet& set, std::int64_t random_steps, std::uint64_t seed);

}  // namespace mdnlab::stability
