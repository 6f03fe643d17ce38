// How documents are cut: every chunk is in one segment, and only what gains by it is cut.
#include "scan/cuda/cut.h"

#include <gtest/gtest.h>

#include <numeric>

#include "scan/cuda/segments.h"

namespace mdnlab::scan {

namespace {

constexpr int kMultiprocessors = 132;

Load load_of(std::vector<int> chunks, int H, std::int64_t K, int V, bool delta, bool momentum) {
  const int Z = momentum ? 2 : 1;
  return {.chunks = std::move(chunks),
          .heads = H,
          .state_tiles = V / 64,
          .map_tiles = static_cast<int>(map_width(delta, Z, K) / 64),
          .row_bytes = 4 * Z * K};
}
Load mdn(std::vector<int> chunks, int H = 6) { return load_of(std::move(chunks), H, 128, 256, true, true); }

// And in order.
void expect_every_chunk_once(const std::vector<std::int64_t>& starts, const Cut& cut) {
  const std::vector<int> counts = chunk_counts(starts), table = tables(starts, cut);
  const int chunks = std::accumulate(counts.begin(), counts.end(), 0);
  const std::size_t N = counts.size(), runs = N * cut.segments;
  ASSERT_EQ(table.size(), 2 * (runs + chunks));
  int next_chunk = 0;
  for (std::size_t n = 0; n < N; ++n) {
    std::int64_t token = starts[n];
    for (int s = 0; s < cut.segments; ++s) {
      const int first = table[2 * (s * N + n)], count = table[2 * (s * N + n) + 1];
      EXPECT_LE(count, s == 0 ? cut.first : cut.length);
      if (count > 0) {
        EXPECT_EQ(first, next_chunk);
      }
      for (int c = first; c < first + count; ++c) {
        EXPECT_EQ(table[2 * (runs + c)], token);
        const int rows = table[2 * (runs + c) + 1];
        EXPECT_TRUE(rows == 64 || (rows > 0 && token + rows == starts[n + 1]));
        token += rows;
      }
      next_chunk += count;
    }
    EXPECT_EQ(token, starts[n + 1]);
  }
}

TEST(ScanCut, HoldsEveryChunkOnce) {
  const std::vector<std::vector<std::int64_t>> batches = {
      {0, 1}, {0, 64, 65}, {0, 700, 764, 764, 894, 959}, {0, 0, 0}, {10, 4106}};
  for (const auto& starts : batches) {
    const Load load{.chunks = chunk_counts(starts)};
    for (const int segments : {1, 2, 3, 7, 100}) expect_every_chunk_once(starts, cut_into(segments, load));
  }
  expect_every_chunk_once({0, 700, 764, 764, 894, 959}, {.segments = 2, .first = 8, .length = 3});
}

TEST(ScanCut, HasNoMoreSegmentsThanChunksOrBlocks) {
  EXPECT_EQ(cut_into(5, mdn({3})), (Cut{.segments = 3, .first = 1, .length = 1}));
  EXPECT_EQ(cut_into(4, mdn({9, 2})), (Cut{.segments = 3, .first = 3, .length = 3}));
  EXPECT_EQ(cut_into(7, mdn({})).segments, 1);
  EXPECT_EQ(cut_into(std::int64_t{1} << 40, mdn(std::vector<int>(30000, 5))).segments, 2);
}

TEST(ScanCut, LeavesAloneWhatFillsTheCardOrIsShort) {
  const std::vector<int> eight(8, 64), many(200, 5);
  for (const Load& load : {mdn(eight), mdn(many), mdn({64}), mdn({1}), mdn({}), mdn({256, 256, 256})}) {
    EXPECT_EQ(cut_for_outputs(load, kMultiprocessors).segments, 1);
    EXPECT_EQ(cut_for_adjoints(load, kMultiprocessors).segments, 1);
  }
}

TEST(ScanCut, CutsLongDocumentsOfFewHeads) {
  EXPECT_EQ(cut_for_outputs(mdn({512}), kMultiprocessors).segments, 4);
  EXPECT_EQ(cut_for_adjoints(mdn({512}), kMultiprocessors).segments, 3);
  const Load one_head = mdn({4096}, 1);
  EXPECT_GE(cut_for_outputs(one_head, kMultiprocessors).segments, 12);
  EXPECT_GE(cut_for_adjoints(one_head, kMultiprocessors).segments, 8);
  // Half the card busy: in two, the second of which waits for no map. Both ways at once it is busy enough.
  const Load two = mdn({256, 256});
  const Cut cut = cut_for_outputs(two, kMultiprocessors);
  EXPECT_EQ(cut.segments, 2);
  EXPECT_GT(cut.first, cut.length);
  EXPECT_EQ(cut.first + cut.length, 256);
  EXPECT_EQ(cut_for_adjoints(two, kMultiprocessors).segments, 1);
  // A long one among short ones.
  EXPECT_GT(cut_for_outputs(mdn({1024, 8, 8, 8}), kMultiprocessors).segments, 1);
}

TEST(ScanCut, KeepsItsStatesSmall) {
  std::vector<int> chunks(60, 1);
  chunks[7] = 8192;
  EXPECT_EQ(cut_for_outputs(mdn(chunks), kMultiprocessors).segments, 1);
}

}  // namespace

}  // namespace mdnlab::scan
