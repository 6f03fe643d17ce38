// The process that trains a run, and whether it still lives.
#pragma once

#include <cstdint>
#include <string>

namespace mdnlab {

struct Worker {
  std::string host;
  std::int64_t pid = 0;
  std::int64_t start = 0;  // clock ticks since boot: a later process of the same pid has another

  bool operator==(const Worker&) const = default;
};

Worker this_worker();

enum class Life { alive, gone, unknown };  // unknown: a process of another host
Life life_of(const Worker& worker);

}  // namespace mdnlab
