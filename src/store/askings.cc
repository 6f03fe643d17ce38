#include "store/askings.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "store/settings.h"

namespace mdnlab {

std::int64_t ensure_asking(Store& store, const EvaluatedModel& model, const std::string& task,
                           const std::string& settings_json) {
  const std::string settings = canonical_settings(settings_json);
  // A run's model is known by its run and step, another by its digest.
  const std::optional<std::string> digest = model.run_id ? std::nullopt : model.digest;
  Transaction transaction(store.sql());
  std::int64_t id = store.sql().integer(
      "select id from asking where run_id is ?1 and step is ?2 and model_digest is ?3 and task = ?4"
      " and settings_json = ?5",
      model.run_id, model.step, digest, task, settings);
  if (id == 0) {
    id = store.sql().integer(
        "insert into asking (run_id, step, model_digest, task, settings_json) values (?, ?, ?, ?, ?)"
        " returning id",
        model.run_id, model.step, digest, task, settings);
  }
  transaction.commit();
  return id;
}

std::vector<AnsweredItem> answered_items(Store& store, std::int64_t asking) {
  std::vector<AnsweredItem> items;
  Statement rows = store.sql().query(
      "select item, marked_json from asking_item where asking_id = ? order by item", asking);
  while (rows.step()) items.push_back({rows.integer(0), rows.text(1)});
  return items;
}

void add_answered(Store& store, std::int64_t asking, std::span<const AnsweredItem> items) {
  Transaction transaction(store.sql());
  Statement insert =
      store.sql().query("insert or ignore into asking_item (asking_id, item, marked_json) values (?, ?, ?)");
  for (const AnsweredItem& item : items) {
    insert.bind_all(asking, item.item, item.marked_json);
    insert.step();
    insert.reset();
  }
  transaction.commit();
}

void end_asking(Store& store, std::int64_t asking, const EvaluatedModel& model,
                std::span<const Score> scores) {
  Transaction transaction(store.sql());
  nlohmann::json ids = nlohmann::json::array();
  for (const Score& score : scores) ids.push_back(add_evaluation(store, model, score));
  store.sql().run("update asking set evaluations_json = ? where id = ?", ids.dump(), asking);
  store.sql().run("delete from asking_item where asking_id = ?", asking);
  transaction.commit();
}

std::optional<std::vector<Score>> ended_scores(Store& store, std::int64_t asking) {
  Statement ids = store.sql().query("select evaluations_json from asking where id = ?", asking);
  if (!ids.step() || ids.is_null(0)) return std::nullopt;
  std::vector<Score> scores;
  for (const std::int64_t id : nlohmann::json::parse(ids.text(0)).get<std::vector<std::int64_t>>()) {
    Statement row = store.sql().query(
        "select task, metric, length, depth, n, value, stderr, settings_json, low, high from evaluation"
        " where id = ?",
        id);
    if (!row.step()) return std::nullopt;
    scores.push_back({.task = row.text(0),
                      .metric = row.text(1),
                      .length = row.integer_or_null(2),
                      .depth = row.real_or_null(3),
                      .n = row.integer(4),
                      .value = row.real_or_null(5).value_or(std::nan("")),
                      .stderr_value = row.real_or_null(6),
                      .low = row.real_or_null(8),
                      .high = row.real_or_null(9),
                      .settings_json = row.text(7)});
    if (scores.back().low) continue;
    Statement item = store.sql().query(
        "select item, value from evaluation_item where evaluation_id = ? order by item", id);
    while (item.step()) scores.back().items.push_back({item.integer(0), item.real(1)});
  }
  return scores;
}

}  // namespace mdnlab
