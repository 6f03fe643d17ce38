// `mdnlab run FILE --profile FOLDER`: a step of each run under the profiler instead of training.
#pragma once

#include <filesystem>

#include "cli/arguments.h"
#include "run/planner.h"

namespace mdnlab {

// Prints, for every run, each kind of operation, what was idle, and the slowest operations (all of them with
// --json or --csv); writes FOLDER/<the key's first 8>.json.
void profile_plan(const std::vector<PlannedRun>& plan, const Arguments& arguments,
                  const std::filesystem::path& folder);

}  // namespace mdnlab
