// The headline numbers of a choice (evaluations.md, section 1), read off the scores of task `retention`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "report/composite.h"
#include "statistics/isotonic.h"
#include "statistics/retention.h"

namespace mdnlab {

// Its retention is the ceiling, at the state of its cache, and is not ranked.
inline constexpr const char* ceiling_rule = "attention";

// One point of I(g): one answer to metric information_bits.
struct Recovered {
  std::int64_t length = 0;  // tokens of context; 0 where no lag was asked at several lengths
  std::int64_t writes = 0, lag = 0, values = 0;
  const Answer* answer = nullptr;
};

// By length, writes, lag.
std::vector<Recovered> recovered(const Choice& choice);

std::string writes_words(std::int64_t writes);  // "8 writes in between"

// Under which RET is told: the furthest T of which every lag 2^k = 16 … T was asked, then the fewest writes.
struct RetentionSetting {
  std::int64_t length = 0, writes = 0, values = 0;
  std::int64_t furthest = 0;  // T

  bool has(const Recovered& point) const {
    return point.length == length && point.writes == writes && point.values == values;
  }
  bool counts(const Recovered& point) const;  // has it, and its lag is one of those of RET
};
std::optional<RetentionSetting> retention_setting(const Choice& choice);

// The same, then with more writes in between, by their number: there RET is over the lags that hold them.
std::vector<RetentionSetting> retention_settings(const Choice& choice);

// RET under a setting of `choice`: of each seed the mean over lags of max(0, I) / log2 n_v.
Composite retention_composite(const RetentionSetting& setting);

// The mean over lags and numbers of writes at once, each setting's lags those of its RET: by it rules are
// ranked, for with the fewest writes nearly all of those that learned retain everything.
Composite crossed_retention_composite(const std::vector<RetentionSetting>& settings);

// Overwrite fidelity: of each seed the mean over lags of I(new) − I(old), bits.
Composite overwrite_composite();

std::optional<HalfLife> half_life_of(const Choice& choice,
                                     const RetentionSetting& setting);  // of the mean curve
std::optional<Capacity> capacity_of(const Choice& choice);              // of the mean recall

}  // namespace mdnlab
