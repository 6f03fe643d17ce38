// What the database says, for people.
#pragma once

#include <filesystem>
#include <string>

#include "base/table.h"

namespace mdnlab {

// The comparison of the rules (analysis/leaderboard.sql), its numbers rounded for reading in plain and
// Markdown form and whole in CSV and JSON.
std::string comparison_table(const std::filesystem::path& database, TableFormat format);

}  // namespace mdnlab
