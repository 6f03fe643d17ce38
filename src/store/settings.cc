#include "store/settings.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"

namespace mdnlab {

std::string canonical_settings(std::string_view json) {
  const auto settings = nlohmann::json::parse(json, nullptr, false);
  if (!settings.is_object()) {
    throw Error(Code::failed, {.what = "the settings of a result are malformed",
                               .found = quote(json),
                               .expected = "a JSON object"});
  }
  return settings.dump();
}

}  // namespace mdnlab
