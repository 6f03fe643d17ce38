// Cuts a split into windows of equal length: the sequences that a model is trained and evaluated on.
#pragma once

#include <cstdint>
#include <vector>

#include "data/corpus.h"

namespace mdnlab {

// A window is seq_len + 1 tokens: inputs [0, seq_len) and their labels, one further on. Each window starts
// afresh.
//
// `starts` of a window: the positions in [0, seq_len] at which a document begins, ascending, the first one 0.
// At a start p < seq_len the states are reset; at a start p ≥ 1 no loss is taken at p − 1, whose label would
// be across.
class Windows {
 public:
  // Keeps a reference to the corpus. A split of fewer than seq_len + 1 tokens is Code::usage and says how
  // many there are.
  Windows(const Corpus& corpus, Split split, std::int64_t seq_len, std::uint64_t seed = 0);

  std::int64_t count() const { return count_; }  // windows of an epoch, and of one pass of sequential()
  std::int64_t seq_len() const { return seq_len_; }

  // The index-th training sequence, index ≥ 0 without end: a function of the seed and the index alone. Epoch
  // index / count() takes every window once, in an order of its own, with a first window shifted by an offset
  // of its own; all tokens but the (tokens − 1) mod seq_len that do not fill a window are inputs once. Not
  // for several threads: the order of one epoch is kept.
  void training(std::int64_t index, std::int64_t* tokens, std::vector<std::int32_t>& starts);

  // The index-th window in the order of the text, 0 ≤ index < count(), for evaluation.
  void sequential(std::int64_t index, std::int64_t* tokens, std::vector<std::int32_t>& starts) const;

 private:
  void prepare(std::int64_t epoch);
  void read(std::int64_t first, std::int64_t* tokens, std::vector<std::int32_t>& starts) const;

  const Corpus& corpus_;
  Split split_;
  std::int64_t seq_len_;
  std::uint64_t seed_;
  std::int64_t count_;
  std::int64_t epoch_ = -1;          // whose order and offset are kept
  std::vector<std::int64_t> order_;  // of the windows
  std::int64_t offset_ = 0;          // tokens before the first window
};

}  // namespace mdnlab
