// How long documents are cut into segments (segments.h), so that a few of them fill a GPU. A block of the
// scans takes one document and head and 64 columns, a tile of its state; it walks its chunks one after
// another.
#pragma once

#include <cstdint>
#include <vector>

namespace mdnlab::scan {

// Every document has the same number of segments: the first holds its first `first` chunks, each other one
// the next `length`, as many of them as there are.
struct Cut {
  int segments = 1;
  int first = 0, length = 0;

  bool operator==(const Cut&) const = default;
  int begin(int segment) const { return segment == 0 ? 0 : first + (segment - 1) * length; }
  int chunks(int document_chunks, int segment) const;
};

// What there is to scan.
struct Load {
  std::vector<int> chunks;  // of each document
  int heads = 0;
  int state_tiles = 0;         // V/64
  int map_tiles = 0;           // of the probes: map_width()/64 (segments.h)
  std::int64_t row_bytes = 0;  // of one column of a head's states: 4·K, with momentum 8·K
};

// So many segments of equal length, or as many as the longest document has chunks and a launch has blocks
// for.
Cut cut_into(std::int64_t segments, const Load& load);

// The cut with the least predicted time, for the outputs alone or for the backward pass. One segment unless
// more save at least a tenth and need no more than 128 MiB for states and maps.
Cut cut_for_outputs(const Load& load, int multiprocessors);
Cut cut_for_adjoints(const Load& load, int multiprocessors);

// What the kernels are told of documents that start at these tokens, the last number being the end: first
// chunk and chunks of each document's segment 0, then of each one's segment 1, …; first token and tokens of
// each chunk. Chunks have 64 tokens, the last of a document what is left.
std::vector<int> tables(const std::vector<std::int64_t>& starts, const Cut& cut);
std::vector<int> chunk_counts(const std::vector<std::int64_t>& starts);

}  // namespace mdnlab::scan
