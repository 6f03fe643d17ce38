// The sections of the report, one file each. Each is empty where the database has nothing for it.
#pragma once

#include <filesystem>
#include <optional>

#include "report/results.h"
#include "report/section.h"
#include "rule/loader.h"
#include "store/store.h"

namespace mdnlab {

Section leaderboard_section(const Results& results);
Section rate_section(const Results& results);
Section retention_section(const Results& results);
Section influence_section(const Results& results);
Section needle_section(const Results& results);
Section scores_section(const Results& results);
Section loss_section(Store& store, const Results& results);
Section position_section(const Results& results);
// Of each rule and choice of its options in the database, as far as `plugins` has it.
Section stability_section(Store& store, const Plugins& plugins);
// `peers`: a CSV of others' figures; Code::usage with file and line where it is malformed.
Section kernel_section(Store& store, const std::optional<std::filesystem::path>& peers);
Section failure_section(Store& store);
Section configuration_section(Store& store);

}  // namespace mdnlab
