// What a database holds, as the report looks at it: choices of options, each with its seeds and what they
// answered.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "statistics/bootstrap.h"
#include "store/store.h"

namespace mdnlab {

// One run that counts (analysis/runs.sql).
struct ReportedRun {
  std::int64_t id = 0;
  std::string key;  // its start
  std::string ended_at;
  std::int64_t seed = 0;
  bool is_diverged = false;
  std::optional<double> valid_loss, tokens_per_second;
};

// What was asked, whatever the seed of its data (analysis/scores.sql).
struct Question {
  std::string task, metric;
  std::optional<std::int64_t> length;
  std::optional<double> depth;
  std::string settings;  // JSON text with sorted keys

  auto operator<=>(const Question&) const = default;
  nlohmann::json setting(const char* name) const;  // null where it is not set
  std::string data_digest() const;                 // of the file that it was asked on; "" without one
};

struct Answer {
  std::vector<Measured> seeds;  // then the diverged ones, as 0, where more is better; else they are left out
  std::vector<std::int64_t> evaluations;  // ids, of the seeds that answered
  std::int64_t items = 0;                 // behind one seed's number
  std::optional<Interval> stored;         // over items, of the newest seed that has one
};

// A learning rate that was tried.
struct TriedRate {
  std::optional<double> lr;
  std::vector<Measured> valid_losses;  // of the seeds that did not diverge
  std::int64_t diverged = 0;
};

// One row of a comparison: a rule under one choice of options, at the learning rate of least validation loss.
struct Choice {
  std::string sweep, task, rule, options;
  std::optional<double> lr;
  std::vector<TriedRate> tried;  // ascending; none: there was no choice
  std::int64_t parameters = 0, state_bytes = 0, train_tokens = 0, context_tokens = 0;
  std::vector<ReportedRun> runs;  // by seed; none: a model from elsewhere
  std::map<Question, Answer> answers;

  std::int64_t seeds() const;  // a model from elsewhere is one
  std::int64_t diverged() const;
  std::string name() const;  // rule, and options where there are any
};

struct Results {
  std::vector<Choice> choices;                // by sweep, task, rule, options
  std::map<std::string, std::size_t> styles;  // of each rule, the same in every figure
  std::map<std::string, std::map<std::string, std::string>> data_files;  // names by task and digest

  std::string data_file(const Question& question) const;  // its name; "": none is known
  // The same with the beginning of its digest, where the task has another file of that name.
  std::string data_name(const Question& question) const;
};

bool more_is_better(const std::string& metric);

std::string rate_text(double lr);  // 0.0003

Results load_results(Store& store);

// The mean over seeds with its interval; nothing where no seed answered. Of a single seed the interval is the
// one that was stored with its score, where there is one: it weighs items as the score does.
std::optional<Interval> interval_of(const Answer& answer);

}  // namespace mdnlab
