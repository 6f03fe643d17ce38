#include "store/evaluations.h"

#include "store/settings.h"

namespace mdnlab {

std::int64_t add_evaluation(Store& store, const EvaluatedModel& model, const Score& score,
                            std::span<const double> items) {
  const std::string settings = canonical_settings(score.settings_json);
  Transaction transaction(store.sql());
  // Replacing deletes the row of the same question first, and its items with it.
  const std::int64_t id = store.sql().integer(
      "insert or replace into evaluation (run_id, step, model_digest, task, metric, length, depth, n, value, "
      "stderr,"
      " settings_json, machine_id, build_id) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) returning id",
      model.run_id, model.step, model.digest, score.task, score.metric, score.length, score.depth, score.n,
      score.value, score.stderr_value, settings, model.machine_id, model.build_id);
  Statement insert =
      store.sql().query("insert into evaluation_item (evaluation_id, item, value) values (?, ?, ?)");
  for (std::size_t item = 0; item < items.size(); ++item) {
    insert.bind_all(id, item, items[item]);
    insert.step();
    insert.reset();
  }
  transaction.commit();
  return id;
}

}  // namespace mdnlab
