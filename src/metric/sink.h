// Where training and evaluation put what they measured. The run room connects a sink to the store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mdnlab {

// One item behind a score. The same number in the same task, length, depth and settings is the same item,
// prompt and all, for every model: paired statistics rest on it.
struct ScoredItem {
  std::int64_t item = 0;
  double value = 0;           // the score's value is the mean of its items' values
  std::string prompt_digest;  // SHA-256 of the prompt; "" like the next two: not kept
  std::string answer;         // that was wanted
  std::string prediction;     // that was given
  std::vector<double> log_probabilities;  // ln p of each choice, or of the text asked for; empty: not kept
};

// One evaluation result. stderr_value: standard error of `value` over its n items, where it has one; low, high:
// its 95 % interval over items, both or neither. README.md lists the metrics and settings that the report and
// the queries read.
struct Score {
  std::string task;
  std::string metric;                  // accuracy, loss, bits_per_byte, perplexity, …
  std::optional<std::int64_t> length;  // tokens of context
  std::optional<double> depth;         // 0 (oldest) to 1
  std::int64_t n = 0;                  // items or tokens that the value is a mean over
  double value = 0;
  std::optional<double> stderr_value;
  std::optional<double> low, high;
  std::string settings_json = "{}";  // everything else that fixes the number: pairs, vocabulary, seed, …
  std::vector<ScoredItem> items;     // those that are kept: all n, or none
};

class Sink {
 public:
  virtual ~Sink() = default;
  virtual void metric(std::int64_t step, std::string_view name, double value) = 0;
  virtual void score(const Score& score) = 0;
};

}  // namespace mdnlab
