#include "check/stability/search.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/random.h"

namespace mdnlab::stability {

namespace {

constexpr std::size_t kept = 16;        // best points, from which the next round starts
constexpr std::size_t first_round = 4;  // times as many points as a later round
constexpr double corner_share = 0.3;    // of the first coordinates lie on the cube's faces
constexpr double first_change = 0.3, shrink = 0.88;

Point random_point(Random& random, std::size_t dimensions) {
  Point point(dimensions);
  for (double& x : point)
    x = random.uniform() < corner_share ? static_cast<double>(random.below(2)) : random.uniform();
  return point;
}

Point changed(const Point& point, double size, Random& random) {
  Point next = point;
  const double share = random.uniform();  // of the coordinates; at least one
  const std::size_t always = random.below(point.size());
  for (std::size_t i = 0; i < next.size(); ++i) {
    if (i != always && random.uniform() > share) continue;
    next[i] = std::clamp(next[i] + size * (random.uniform() + random.uniform() - 1), 0.0, 1.0);
  }
  return next;
}

}  // namespace

Best maximize(const Search& search, const std::function<double(const Point&)>& value) {
  Random random{search.seed, search.dimensions};
  std::vector<Best> best;
  const auto see = [&](std::vector<Point> points) {
    for (Point& point : points) {
      const double found = value(point);
      best.push_back({found, std::move(point)});
    }
    std::ranges::stable_sort(best, std::greater{}, &Best::value);
    best.resize(std::min(best.size(), kept));
  };
  std::vector<Point> points = search.start;
  for (std::size_t i = 0; i < first_round * search.points; ++i)
    points.push_back(random_point(random, search.dimensions));
  see(std::move(points));
  double size = first_change;
  for (int round = 0; round < search.rounds; ++round, size *= shrink) {
    points.clear();
    for (std::size_t i = 0; i < search.points; ++i)
      points.push_back(changed(best[random.below(best.size())].point, size, random));
    see(std::move(points));
  }
  return best.front();
}

}  // namespace mdnlab::stability
