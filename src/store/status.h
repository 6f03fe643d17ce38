// Where the runs stand, for `mdnlab status`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/store.h"

namespace mdnlab {

struct StatusRow {
  std::string key;
  std::string name;
  std::string state;  // as stored, but a run whose process is gone counts as interrupted
  std::int64_t step = 0;
  std::int64_t steps = 0;
  std::optional<double> eta_s;  // of a running run, at the mean speed of this attempt
  std::string error;
};

std::vector<StatusRow> status(Store& store);  // in the order they were planned

// {"runs": [{key, name, state, step, steps, eta_s, error}]}; eta_s and error are null where there is none.
std::string status_json(const std::vector<StatusRow>& rows);

}  // namespace mdnlab
