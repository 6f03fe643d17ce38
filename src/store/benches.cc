#include "store/benches.h"

#include "store/settings.h"

namespace mdnlab {

void add_bench(Store& store, const Bench& bench) {
  const std::string settings = canonical_settings(bench.settings_json);
  Transaction transaction(store.sql());
  store.sql().run(
      "insert or replace into bench (rule, device, dtype, batch, tokens, heads, key_width, value_width, "
      "direction,"
      " median_ms, spread_ms, peak_mib, tokens_per_second, machine_id, build_id, settings_json)"
      " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      bench.rule, bench.device, bench.dtype, bench.batch, bench.tokens, bench.heads, bench.key_width,
      bench.value_width, bench.direction, bench.median_ms, bench.spread_ms, bench.peak_mib,
      bench.tokens_per_second, bench.machine_id, bench.build_id, settings);
  transaction.commit();
}

}  // namespace mdnlab
