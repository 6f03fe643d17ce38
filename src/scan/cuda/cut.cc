#include "scan/cuda/cut.h"

#include <algorithm>
#include <cmath>

#include "scan/cuda/problem.h"

namespace mdnlab::scan {

namespace {

// Times are in steps: what a block takes for a chunk of outputs, 1.9 µs on an H200. The others are estimates.
constexpr double kEndsStep = 0.75;  // a chunk without outputs
constexpr double kStart = 3;        // a block's start, and its state's way in and out
constexpr double kLaunches = 16;    // what splitting adds in any case
constexpr double kCarry = 8;        // a product of carry()

constexpr int kMostSegments = 32;
constexpr std::int64_t kMostRuns = 65535;  // segments of all documents: a grid's third dimension
constexpr std::int64_t kMostBytes = std::int64_t{128} << 20;
constexpr double kWorthwhile = 0.9;

// Blocks that run beside each other, one on a multiprocessor.
struct Blocks {
  double all = 0, longest = 0;

  void add(double blocks, double steps) {
    all += blocks * (steps + kStart);
    longest = std::max(longest, steps + kStart);
  }
  // Equal blocks come in rounds; of unequal ones the short ones fill the gaps.
  double time(int multiprocessors) const {
    return longest == 0 ? 0 : std::ceil(all / (multiprocessors * longest)) * longest;
  }
};

int longest(const Load& load) {
  return load.chunks.empty() ? 0 : *std::max_element(load.chunks.begin(), load.chunks.end());
}

// Of the outputs in two segments: the second starts when the first one's end is known, while that one's
// outputs go on.
double time_of_two(const Cut& cut, const Load& load, int multiprocessors) {
  Blocks first;
  for (const int document : load.chunks)
    first.add(2.0 * load.heads * load.state_tiles, cut.chunks(document, 0));
  const double rounds = first.time(multiprocessors) / first.longest;
  return kLaunches + rounds * std::max(kStart + cut.first, 2 * kStart + kEndsStep * cut.first + cut.length);
}

// The two rounds of launches of split_outputs() and split_adjoints(); with one segment the second alone.
template <bool adjoints>
double time(const Cut& cut, const Load& load, int multiprocessors) {
  const double states = 1.0 * load.heads * load.state_tiles, maps = 1.0 * load.heads * load.map_tiles;
  const int last = cut.segments - 1;
  if (!adjoints && last == 1) return time_of_two(cut, load, multiprocessors);
  Blocks ahead, whole;
  for (const int document : load.chunks) {
    for (int s = 0; s <= last; ++s) {
      const int chunks = cut.chunks(document, s);
      const bool is_middle = s > 0 && s < last;
      if (adjoints) {
        if (last > 0) ahead.add(is_middle ? 2 * states + maps : states, chunks);
        whole.add(is_middle || last == 0 ? 2 * states : states, chunks);
      } else {
        if (s < last) ahead.add(is_middle ? states + maps : states, kEndsStep * chunks);
        whole.add(states, chunks);
      }
    }
  }
  const double carried = last == 0 ? 0 : kLaunches + kCarry * (last - 1) * (adjoints ? 2 : 1);
  return ahead.time(multiprocessors) + carried + whole.time(multiprocessors);
}

// What segments.cc holds: states (and their adjoints) at every cut, maps as they come and in rows.
std::int64_t bytes(const Cut& cut, const Load& load, bool adjoints) {
  const std::int64_t cuts = cut.segments * (adjoints ? 4 : 2), middle = 2 * std::max(0, cut.segments - 2);
  const std::int64_t tiles = cuts * load.state_tiles + middle * (load.state_tiles + load.map_tiles);
  return static_cast<std::int64_t>(load.chunks.size()) * load.heads * load.row_bytes * 64 * tiles;
}

template <bool adjoints>
Cut best_cut(const Load& load, int multiprocessors) {
  const Cut whole = cut_into(1, load);
  const double undivided = time<adjoints>(whole, load, multiprocessors);
  Cut best = whole;
  double least = kWorthwhile * undivided;
  for (int segments = 2; segments <= std::min(kMostSegments, whole.length); ++segments) {
    Cut cut = cut_into(segments, load);
    if (!adjoints && segments == 2) {  // so that both end at once
      cut.first = static_cast<int>(std::ceil(whole.length / (2 - kEndsStep)));
      cut.length = whole.length - cut.first;
    }
    if (bytes(cut, load, adjoints) > kMostBytes) break;
    const double found = time<adjoints>(cut, load, multiprocessors);
    if (found < least) best = cut, least = found;
  }
  return best;
}

}  // namespace

int Cut::chunks(int document_chunks, int segment) const {
  return std::clamp(document_chunks - begin(segment), 0, segment == 0 ? first : length);
}

Cut cut_into(std::int64_t segments, const Load& load) {
  const std::int64_t documents = std::max<std::int64_t>(1, std::ssize(load.chunks));
  const int most = std::max(longest(load), 1);
  const auto pieces = static_cast<int>(
      std::clamp<std::int64_t>(segments, 1, std::min<std::int64_t>(most, kMostRuns / documents)));
  const int length = (most + pieces - 1) / pieces;
  return {.segments = (most + length - 1) / length, .first = length, .length = length};
}

Cut cut_for_outputs(const Load& load, int multiprocessors) { return best_cut<false>(load, multiprocessors); }

Cut cut_for_adjoints(const Load& load, int multiprocessors) { return best_cut<true>(load, multiprocessors); }

std::vector<int> chunk_counts(const std::vector<std::int64_t>& starts) {
  std::vector<int> counts;
  for (std::size_t n = 0; n + 1 < starts.size(); ++n)
    counts.push_back(static_cast<int>((starts[n + 1] - starts[n] + cuda::kChunk - 1) / cuda::kChunk));
  return counts;
}

std::vector<int> tables(const std::vector<std::int64_t>& starts, const Cut& cut) {
  const std::vector<int> counts = chunk_counts(starts);
  std::vector<int> out;
  for (int segment = 0; segment < cut.segments; ++segment) {
    int first_chunk = cut.begin(segment);
    for (const int count : counts) {
      out.insert(out.end(), {first_chunk, cut.chunks(count, segment)});
      first_chunk += count;
    }
  }
  for (std::size_t n = 0; n + 1 < starts.size(); ++n) {
    for (std::int64_t token = starts[n]; token < starts[n + 1]; token += cuda::kChunk) {
      const std::int64_t rows = std::min<std::int64_t>(cuda::kChunk, starts[n + 1] - token);
      out.insert(out.end(), {static_cast<int>(token), static_cast<int>(rows)});
    }
  }
  return out;
}

}  // namespace mdnlab::scan
