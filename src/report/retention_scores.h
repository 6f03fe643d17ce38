// The headline numbers of a choice (evaluations.md, section 1), read off the scores of task `retention`.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "report/composite.h"
#include "statistics/isotonic.h"
#include "statistics/retention.h"

namespace mdnlab {

// Its retention is the ceiling, at the state of its cache, and is not ranked.
inline constexpr const char* ceiling_rule = "attention";

// One point of I(g): one answer to metric information_bits.
struct Recovered {
  std::int64_t context_tokens = 0, writes = 0, lag = 0, values = 0;
  const Answer* answer = nullptr;
};

// By context, writes, lag.
std::vector<Recovered> recovered(const Choice& choice);

// Under which RET is told: the longest context, and the fewest writes in between, of which every lag 2^k = 16
// … T was asked.
struct RetentionSetting {
  std::int64_t context_tokens = 0, writes = 0, values = 0;
  auto operator<=>(const RetentionSetting&) const = default;
};
std::optional<RetentionSetting> retention_setting(const Choice& choice);

// RET under a setting: of each seed the mean over lags of max(0, I) / log2 n_v.
Composite retention_composite(const RetentionSetting& setting);

std::optional<HalfLife> half_life_of(const Choice& choice,
                                     const RetentionSetting& setting);  // of the mean curve
std::optional<Capacity> capacity_of(const Choice& choice);              // of the mean recall

}  // namespace mdnlab
