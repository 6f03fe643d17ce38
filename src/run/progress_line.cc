#include "run/progress_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace mdnlab {

namespace {

constexpr std::size_t most_one_by_one = 4;

template <class Write>
std::string each(std::span<const RunProgress> runs, const char* between, Write write) {
  std::vector<std::string> words;
  for (const RunProgress& run : runs) words.push_back(write(run));
  return join(words, between);
}

template <class Value>
std::string range(std::span<const RunProgress> runs, const char* format, Value value) {
  const auto [least, most] = std::ranges::minmax(runs, {}, value);
  return fmt::format("{} to {}", fmt::format(fmt::runtime(format), value(least)),
                     fmt::format(fmt::runtime(format), value(most)));
}

std::string one_by_one(std::span<const RunProgress> runs, std::int64_t planned) {
  const std::string devices =
      runs[0].device.empty() ? "" : " on " + each(runs, "+", [](auto& run) { return run.device; });
  return fmt::format("run {} of {}{}  step {}  loss {}",
                     each(runs, "+", [](auto& run) { return std::to_string(run.number); }), planned, devices,
                     each(runs, "+", [](auto& run) { return fmt::format("{}/{}", run.step, run.steps); }),
                     each(runs, "+", [](auto& run) { return fmt::format("{:.3f}", run.loss); }));
}

std::string by_range(std::span<const RunProgress> runs, std::int64_t planned) {
  return fmt::format("{} runs of {}  step {}  loss {}", runs.size(), planned,
                     range(runs, "{}%", [](const RunProgress& run) { return 100 * run.step / run.steps; }),
                     range(runs, "{:.3f}", [](const RunProgress& run) { return run.loss; }));
}

}  // namespace

std::string progress_line(std::span<const RunProgress> runs, std::int64_t planned, double seconds_left) {
  const bool is_few = runs.size() <= most_one_by_one;
  double speed = 0;
  std::int64_t skipped = 0;
  for (const RunProgress& run : runs) {
    speed += run.tokens_per_second;
    skipped += run.skipped;
  }
  return fmt::format(
      "{}{}  {} tokens/s  ETA {}{}", is_few ? one_by_one(runs, planned) : by_range(runs, planned),
      skipped > 0 ? fmt::format("  skipped {}", skipped) : "", grouped(static_cast<std::int64_t>(speed)),
      duration(seconds_left), is_few ? "  " + each(runs, " + ", [](auto& run) { return run.name; }) : "");
}

}  // namespace mdnlab
