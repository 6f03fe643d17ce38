// Timings of rules, kept as a history.
#pragma once

#include <cstdint>
#include <string>

#include "store/store.h"

namespace mdnlab {

struct Bench {
  std::string rule;
  std::string device;
  std::string dtype;
  std::int64_t batch = 0;
  std::int64_t tokens = 0;
  std::int64_t heads = 0;
  std::int64_t key_width = 0;
  std::int64_t value_width = 0;
  std::string direction;  // fwd, fwd+bwd, step, training step
  double median_ms = 0;
  double spread_ms = 0;  // between the quartiles
  double peak_mib = 0;
  double tokens_per_second = 0;
  std::int64_t machine_id = 0;
  std::int64_t build_id = 0;
  std::string settings_json = "{}";  // a JSON object: chunk, threads, kernel, …
};

void add_bench(Store& store, const Bench& bench);

}  // namespace mdnlab
