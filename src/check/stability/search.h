// A seeded search for the point of [0,1]ⁿ where a function is largest: random points and corners first, then
// ever smaller changes of the best ones. It gives a lower bound of the maximum, and the same for a seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace mdnlab::stability {

using Point = std::vector<double>;

struct Search {
  std::size_t dimensions = 1;
  std::uint64_t seed = 0;
  std::vector<Point> start;  // tried first
  std::size_t points = 512;  // a round
  int rounds = 48;           // the last changes are a thousandth of the cube
};

struct Best {
  double value;
  Point point;
};

// Never NaN from `value`.
Best maximize(const Search& search, const std::function<double(const Point&)>& value);

}  // namespace mdnlab::stability
