// Byte-pair merging: a table of which two neighbours become which token, and its use on one word.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace mdnlab {

class BytePairs {
 public:
  // Pairs are added best first. False, and nothing added, when the pair is there already.
  bool add(std::int32_t left, std::int32_t right, std::int32_t merged);

  // Merges in place until no two neighbours are a pair: always the best pair there is, the leftmost
  // of equals. n log n in the word's length.
  void merge(std::vector<std::int32_t>& tokens) const;

 private:
  struct Merge {
    std::int32_t rank;
    std::int32_t merged;
  };
  const Merge* find(std::int32_t left, std::int32_t right) const;

  std::unordered_map<std::uint64_t, Merge> merges_;
};

}  // namespace mdnlab
