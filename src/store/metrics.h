// What a run measured while it was trained, in long form.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "store/store.h"

namespace mdnlab {

struct Metric {
  std::int64_t step = 0;
  std::string name;  // train/loss, valid/bits_per_byte, …
  double value = 0;  // a value that is not finite is stored as null
};

// One transaction; a value of the same step and name is replaced. After it returns, the rows outlive a crash.
void add_metrics(Store& store, std::int64_t run_id, std::span<const Metric> metrics);

}  // namespace mdnlab
