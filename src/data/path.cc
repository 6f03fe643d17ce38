#include "data/path.h"

#include <system_error>

#include "base/text.h"

namespace mdnlab {

std::filesystem::path find_path(std::string_view given, const std::filesystem::path& base,
                                std::string_view what, const Place& place) {
  const std::filesystem::path path = given;
  std::error_code cause;
  if (!given.empty() && std::filesystem::exists(path, cause)) return path;
  if (!given.empty() && path.is_relative() && std::filesystem::exists(base / path, cause)) return base / path;
  throw Error(Code::usage,
              {.place = place,
               .what = std::string(what) + " " + quote(given) + " is not there" +
                       (cause ? " (" + cause.message() + ")" : ""),
               .hint = "relative paths start at the current directory or at the YAML file's folder"});
}

}  // namespace mdnlab
