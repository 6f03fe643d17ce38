#include "store/evaluations.h"

#include <nlohmann/json.hpp>

#include "store/settings.h"

namespace mdnlab {

std::int64_t add_evaluation(Store& store, const EvaluatedModel& model, const Score& score) {
  const std::string settings = canonical_settings(score.settings_json);
  Transaction transaction(store.sql());
  // Replacing deletes the row of the same question first, and its items with it.
  const std::int64_t id = store.sql().integer(
      "insert or replace into evaluation (run_id, step, model_digest, task, metric, length, depth, n, value, "
      "stderr, low, high,"
      " settings_json, machine_id, build_id) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) returning id",
      model.run_id, model.step, model.digest, score.task, score.metric, score.length, score.depth, score.n,
      score.value, score.stderr_value, score.low, score.high, settings, model.machine_id, model.build_id);
  const auto kept = [](const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); };
  Statement insert = store.sql().query(
      "insert into evaluation_item (evaluation_id, item, value, prompt_digest, answer, prediction,"
      " log_probabilities_json) values (?, ?, ?, ?, ?, ?, ?)");
  for (const ScoredItem& item : score.items) {
    insert.bind_all(
        id, item.item, item.value, kept(item.prompt_digest), kept(item.answer), kept(item.prediction),
        item.log_probabilities.empty() ? std::nullopt
                                       : std::optional(nlohmann::json(item.log_probabilities).dump()));
    insert.step();
    insert.reset();
  }
  transaction.commit();
  return id;
}

}  // namespace mdnlab
