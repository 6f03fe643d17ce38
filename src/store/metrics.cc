#include "store/metrics.h"

namespace mdnlab {

void add_metrics(Store& store, std::int64_t run_id, std::span<const Metric> metrics) {
  if (metrics.empty()) return;
  Transaction transaction(store.sql());
  Statement insert = store.sql().query(
      "insert into metric (run_id, step, name, value) values (?, ?, ?, ?)"
      " on conflict do update set value = excluded.value");
  for (const Metric& metric : metrics) {
    insert.bind_all(run_id, metric.step, metric.name, metric.value);
    insert.step();
    insert.reset();
  }
  transaction.commit();
}

}  // namespace mdnlab
