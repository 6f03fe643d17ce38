#include "statistics/isotonic.h"

#include <algorithm>

namespace mdnlab {

std::vector<double> falling_fit(std::span<const double> values, std::span<const double> weights) {
  struct Pool {
    double mean, weight;
    std::size_t count;
  };
  std::vector<Pool> pools;
  for (std::size_t i = 0; i < values.size(); ++i) {
    pools.push_back({values[i], weights[i], 1});
    while (pools.size() > 1 && pools.back().mean > pools[pools.size() - 2].mean) {
      const Pool later = pools.back();
      pools.pop_back();
      Pool& pool = pools.back();
      pool.mean = (pool.mean * pool.weight + later.mean * later.weight) / (pool.weight + later.weight);
      pool.weight += later.weight;
      pool.count += later.count;
    }
  }
  std::vector<double> fit;
  for (const Pool& pool : pools) fit.insert(fit.end(), pool.count, pool.mean);
  return fit;
}

Capacity capacity_90(std::vector<Recall> recalls) {
  // Rounding of a pooled mean must not cost a point that lies on the threshold.
  constexpr double threshold = 0.9 - 1e-12;
  std::ranges::sort(recalls, {}, &Recall::pairs);
  std::vector<double> values, weights;
  for (const Recall& point : recalls) {
    values.push_back(point.recall);
    weights.push_back(point.weight);
  }
  const std::vector<double> fit = falling_fit(values, weights);
  Capacity capacity;
  for (std::size_t i = 0; i < fit.size() && fit[i] >= threshold; ++i)
    capacity = {.pairs = recalls[i].pairs, .is_least = i + 1 == fit.size()};
  return capacity;
}

}  // namespace mdnlab
