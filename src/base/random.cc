#include "base/random.h"

#include <stdexcept>
#include <unordered_map>

namespace mdnlab {

Random::Random(std::initializer_list<std::uint64_t> words) {
  // std::seed_seq is fixed by the standard too, and takes 32 bits of each word.
  std::vector<std::uint32_t> halves;
  for (const std::uint64_t word : words) {
    halves.push_back(static_cast<std::uint32_t>(word));
    halves.push_back(static_cast<std::uint32_t>(word >> 32));
  }
  std::seed_seq seeds(halves.begin(), halves.end());
  engine_.seed(seeds);
}

std::uint64_t Random::below(std::uint64_t bound) {
  if (bound == 0) throw std::logic_error("Random::below: the bound is 0");
  // 2^64 mod bound values are too many for an equal share; the lowest ones are drawn again.
  const std::uint64_t surplus = (0 - bound) % bound;
  std::uint64_t drawn = next();
  while (drawn < surplus) drawn = next();
  return drawn % bound;
}

double Random::uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

std::vector<std::int64_t> Random::sample(std::int64_t bound, std::int64_t count) {
  if (count < 0 || count > bound) throw std::logic_error("Random::sample: more values than there are");
  // Fisher and Yates's shuffle of 0 … bound−1, of which only the first `count` places are made;
  // `moved` holds the places whose value is no longer their own number.
  std::unordered_map<std::int64_t, std::int64_t> moved;
  const auto value_at = [&](std::int64_t place) {
    const auto found = moved.find(place);
    return found == moved.end() ? place : found->second;
  };
  std::vector<std::int64_t> values;
  values.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t chosen = i + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(bound - i)));
    values.push_back(value_at(chosen));
    moved[chosen] = value_at(i);
  }
  return values;
}

}  // namespace mdnlab
