// Random numbers that are a function of their seeds alone: the same on every machine and library.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <random>
#include <vector>

namespace mdnlab {

// std::mt19937_64 (whose output the standard fixes) with our own distributions (whose output it leaves open).
class Random {
 public:
  // Streams of different words are independent: {seed, purpose, step, …}.
  explicit Random(std::initializer_list<std::uint64_t> words);

  std::uint64_t next() { return engine_(); }
  std::uint64_t below(std::uint64_t bound);  // uniform in [0, bound), unbiased; bound > 0
  double uniform();                          // [0, 1), 53 bits
  double uniform(double low, double high) { return low + (high - low) * uniform(); }

  // `count` different values of [0, bound) in random order; count <= bound.
  std::vector<std::int64_t> sample(std::int64_t bound, std::int64_t count);

 private:
  std::mt19937_64 engine_;
};

}  // namespace mdnlab
