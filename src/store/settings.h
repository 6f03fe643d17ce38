// The one spelling of a settings_json column, so that equal settings compare equal.
#pragma once

#include <string>
#include <string_view>

namespace mdnlab {

// Sorted keys, no spaces. Code::failed when `json` is not a JSON object.
std::string canonical_settings(std::string_view json);

}  // namespace mdnlab
