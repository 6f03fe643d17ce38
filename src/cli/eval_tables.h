// The scores of `mdnlab eval`, printed.
#pragma once

#include <string>
#include <vector>

#include "base/table.h"
#include "metric/sink.h"

namespace mdnlab {

// {"model", "scores": [{task, metric, length, depth, n, value, low, high, stderr, settings}]}; what a score
// does not have, or is not finite, is null.
std::string scores_json(const std::string& model, const std::vector<Score>& scores);

// CSV: every column, numbers whole. Plain, for 80 columns: a table a task, under its name where there are
// several, without the columns that say nothing, and without the standard error where the interval leaves it
// no room.
std::string scores_table(const std::vector<Score>& scores, TableFormat format);

}  // namespace mdnlab
