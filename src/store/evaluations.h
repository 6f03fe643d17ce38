// Scores of a model, with the items behind them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "metric/sink.h"
#include "store/store.h"

namespace mdnlab {

// Whose score it is: a run's model at a step, or a model from elsewhere, known by its digest alone.
struct EvaluatedModel {
  std::optional<std::int64_t> run_id;
  std::optional<std::int64_t> step;        // with run_id, and only with it
  std::optional<std::string> digest;       // SHA-256 of the weights; needed without run_id
  std::optional<std::int64_t> machine_id;  // where it was scored
  std::optional<std::int64_t> build_id;
};

// Stores a score and its items in one transaction; the id of the evaluation. A score of the same model, task,
// metric, length, depth and settings is replaced, items included. score.settings_json must be a JSON object
// (Code::failed otherwise); it is stored with sorted keys.
std::int64_t add_evaluation(Store& store, const EvaluatedModel& model, const Score& score);

}  // namespace mdnlab
