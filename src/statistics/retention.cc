#include "statistics/retention.h"

#include <algorithm>
#include <cmath>

namespace mdnlab {

double retained_share(double bits, std::int64_t values) {
  return std::max(0.0, bits) / std::log2(static_cast<double>(values));
}

std::int64_t furthest_lag(std::span<const Information> curve) {
  std::int64_t furthest = 0;
  for (std::int64_t lag = 16; std::ranges::find(curve, lag, &Information::lag) != curve.end(); lag *= 2)
    furthest = lag;
  return furthest;
}

std::optional<HalfLife> half_life(std::span<const Information> curve) {
  if (curve.empty() || curve.front().bits <= 0) return std::nullopt;
  const double half = curve.front().bits / 2;
  for (std::size_t i = 1; i < curve.size(); ++i) {
    if (curve[i].bits > half) continue;
    const Information &above = curve[i - 1], &below = curve[i];
    const double share = (above.bits - half) / (above.bits - below.bits);
    return HalfLife{.lag = std::exp2(std::lerp(std::log2(static_cast<double>(above.lag)),
                                               std::log2(static_cast<double>(below.lag)), share))};
  }
  return HalfLife{.lag = static_cast<double>(curve.back().lag), .is_censored = true};
}

std::optional<double> at_state(std::span<const AtState> points, double state_bytes) {
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points[i].state_bytes == state_bytes) return points[i].value;
    if (i == 0 || !(points[i - 1].state_bytes < state_bytes && state_bytes < points[i].state_bytes)) continue;
    const double share = std::log2(state_bytes / points[i - 1].state_bytes) /
                         std::log2(points[i].state_bytes / points[i - 1].state_bytes);
    return std::lerp(points[i - 1].value, points[i].value, share);
  }
  return std::nullopt;
}

}  // namespace mdnlab
