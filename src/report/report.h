// What the database says, for people.
#pragma once

#include <filesystem>
#include <optional>

#include "report/section.h"
#include "rule/loader.h"

namespace mdnlab {

// Everything: leaderboard, retention, needles, losses, perplexity by position, stability, kernels, failures,
// configurations (forms.h writes it out). `peers`: others' kernel times (peers.h). A database without results
// gives sections that say what to run.
Report make_report(const std::filesystem::path& database, const Plugins& plugins,
                   const std::optional<std::filesystem::path>& peers);

}  // namespace mdnlab
