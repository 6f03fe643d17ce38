// Where a path of a YAML file leads.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/error.h"

namespace mdnlab {

// A relative path is looked for in the current directory, then in `base`, the folder of the YAML file.
// Neither there: Code::usage at `place`: "`what` 'given' is not there".
std::filesystem::path find_path(std::string_view given, const std::filesystem::path& base,
                                std::string_view what, const Place& place);

}  // namespace mdnlab
