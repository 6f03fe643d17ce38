// The words that `run` and `plan` share: which runs of a file are meant, and on what device.
#pragma once

#include "cli/arguments.h"
#include "run/planner.h"

namespace mdnlab {

// --only, --shard, --device, --plugin
void add_plan_words(Arguments& arguments);
std::vector<PlannedRun> read_plan(const Arguments& arguments, const Plugins& plugins);

}  // namespace mdnlab
