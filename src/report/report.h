// What the database says, for people.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/table.h"
#include "report/section.h"
#include "rule/loader.h"

namespace mdnlab {

// The comparison of the rules (analysis/leaderboard.sql). For reading, in plain and Markdown form, numbers
// are rounded and columns that are empty throughout are left out; CSV and JSON have every column and number
// whole.
std::string comparison_table(const std::filesystem::path& database, TableFormat format);

// Everything: leaderboard, retention, needles, losses, perplexity by position, stability, kernels, failures,
// configurations (forms.h writes it out). `peers`: others' kernel times (peers.h). A database without results
// gives sections that say what to run.
Report make_report(const std::filesystem::path& database, const Plugins& plugins,
                   const std::optional<std::filesystem::path>& peers);

}  // namespace mdnlab
