// The comparison of the rules, as a table that asks the database alone.
#pragma once

#include <filesystem>
#include <string>

#include "base/table.h"

namespace mdnlab {

// analysis/leaderboard.sql. For reading, in plain and Markdown form, numbers are rounded and columns that are
// empty throughout are left out; CSV and JSON have every column and number whole.
std::string comparison_table(const std::filesystem::path& database, TableFormat format);

}  // namespace mdnlab
