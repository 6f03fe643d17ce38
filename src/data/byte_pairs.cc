#include "data/byte_pairs.h"

#include <cstddef>
#include <functional>
#include <queue>
#include <tuple>

namespace mdnlab {

namespace {

std::uint64_t key(std::int32_t left, std::int32_t right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

// A pair of neighbours seen at positions `left` and `right` when their tokens were these.
struct Candidate {
  std::int32_t rank;
  std::size_t left;
  std::size_t right;
  std::int32_t left_token;
  std::int32_t right_token;
  std::int32_t merged;

  bool operator>(const Candidate& other) const {
    return std::tie(rank, left) > std::tie(other.rank, other.left);
  }
};

constexpr std::int32_t gone = -1;  // the token at this position was merged into the one before

}  // namespace

bool BytePairs::add(std::int32_t left, std::int32_t right, std::int32_t merged) {
  const auto rank = static_cast<std::int32_t>(merges_.size());
  return merges_.try_emplace(key(left, right), Merge{rank, merged}).second;
}

const BytePairs::Merge* BytePairs::find(std::int32_t left, std::int32_t right) const {
  const auto found = merges_.find(key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void BytePairs::merge(std::vector<std::int32_t>& tokens) const {
  const std::size_t count = tokens.size();
  if (count < 2) return;
  std::vector<std::size_t> before(count), after(count);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto propose = [&](std::size_t left, std::size_t right) {
    if (const Merge* merge = find(tokens[left], tokens[right])) {
      candidates.push({merge->rank, left, right, tokens[left], tokens[right], merge->merged});
    }
  };
  for (std::size_t i = 0; i < count; ++i) {
    before[i] = i - 1;
    after[i] = i + 1;
    if (i + 1 < count) propose(i, i + 1);
  }
  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    // A candidate whose tokens have changed since is stale. Unchanged tokens are neighbours still:
    // whatever stood between them would be part of the left one.
    if (tokens[best.left] != best.left_token || tokens[best.right] != best.right_token) continue;
    tokens[best.left] = best.merged;
    tokens[best.right] = gone;
    after[best.left] = after[best.right];
    if (after[best.left] < count) {
      before[after[best.left]] = best.left;
      propose(best.left, after[best.left]);
    }
    if (best.left > 0) propose(before[best.left], best.left);
  }
  std::erase(tokens, gone);
}

}  // namespace mdnlab
