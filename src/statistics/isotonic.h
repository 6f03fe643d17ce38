// The falling curve nearest to measured values, and how far it stays above a threshold.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mdnlab {

// Non-increasing, nearest in weighted squares: pool adjacent violators (Ayer et al., Annals of Mathematical
// Statistics 26, 1955). Weights above 0, as many as values.
std::vector<double> falling_fit(std::span<const double> values, std::span<const double> weights);

struct Recall {
  std::int64_t pairs = 0;
  double recall = 0;  // share of them answered rightly
  double weight = 1;  // above 0: items behind it
};

struct Capacity {
  std::int64_t pairs = 0;  // 0: not even the fewest
  bool is_least = false;   // no more were asked: the true capacity may be larger
};

// C90: the largest number of pairs asked at which the falling fit of recall is at least 0.9. Any order.
Capacity capacity_90(std::vector<Recall> recalls);

}  // namespace mdnlab
