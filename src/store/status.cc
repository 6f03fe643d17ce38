#include "store/status.h"

#include <nlohmann/json.hpp>

#include "store/worker.h"

namespace mdnlab {

std::vector<StatusRow> status(Store& store) {
  Statement row = store.sql().query(
      "select key, name, state, step, steps, error, worker_host, worker_pid, worker_start,"
      " (steps - step) * (julianday(updated_at) - julianday(attempt_at)) * 86400 / nullif(step - "
      "attempt_step, 0)"
      " from run order by id");
  std::vector<StatusRow> rows;
  while (row.step()) {
    StatusRow status{.key = row.text(0),
                     .name = row.text(1),
                     .state = row.text(2),
                     .step = row.integer(3),
                     .steps = row.integer(4),
                     .eta_s = std::nullopt,
                     .error = row.text(5)};
    if (status.state == "running") {
      const Worker worker{row.text(6), row.integer(7), row.integer(8)};
      if (life_of(worker) == Life::gone) {
        status.state = "interrupted";
      } else {
        status.eta_s = row.real_or_null(9);
      }
    }
    rows.push_back(std::move(status));
  }
  return rows;
}

std::string status_json(const std::vector<StatusRow>& rows) {
  // Ordered: keys stay in the order that the interface names them.
  nlohmann::ordered_json runs = nlohmann::ordered_json::array();
  for (const StatusRow& row : rows) {
    nlohmann::ordered_json run = {{"key", row.key},   {"name", row.name},   {"state", row.state},
                                  {"step", row.step}, {"steps", row.steps}, {"eta_s", nullptr},
                                  {"error", nullptr}};
    if (row.eta_s) run["eta_s"] = *row.eta_s;
    if (!row.error.empty()) run["error"] = row.error;
    runs.push_back(std::move(run));
  }
  // An error may quote bytes that are not UTF-8.
  return nlohmann::ordered_json{{"runs", std::move(runs)}}.dump(
             -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

}  // namespace mdnlab
