#include "interop/digests.h"

#include <fmt/format.h>

#include <map>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace mdnlab {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t digest_digits = 64;
constexpr std::string_view between = "  ";

[[noreturn]] void refuse(const fs::path& file, std::string what, std::string found = "",
                         std::string expected = "") {
  throw Error(Code::failed, ErrorText{.place = {.file = file.string()},
                                      .what = std::move(what),
                                      .found = std::move(found),
                                      .expected = std::move(expected)});
}

void require(const fs::path& file) {
  std::error_code cause;
  if (fs::exists(file, cause)) return;
  refuse(file, cause ? "cannot look for it: " + cause.message()
                     : "the checkpoint is incomplete: the file is missing");
}

// Digests by file name.
std::map<std::string, std::string, std::less<>> read_sums(const fs::path& file) {
  require(file);
  std::map<std::string, std::string, std::less<>> sums;
  const std::vector<std::string> lines = split(trim(read_file(file)), '\n');
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = lines[i];
    const bool is_digest = line.size() > digest_digits + between.size() &&
                           line.substr(0, digest_digits).find_first_not_of("0123456789abcdef") == line.npos &&
                           line.substr(digest_digits).starts_with(between);
    if (!is_digest)
      refuse(file, fmt::format("the checkpoint is damaged: line {} is no digest of a file", i + 1));
    sums.emplace(line.substr(digest_digits + between.size()), line.substr(0, digest_digits));
  }
  return sums;
}

}  // namespace

void write_digests(const fs::path& folder, std::span<const char* const> files) {
  std::string sums;
  for (const char* name : files) sums += fmt::format("{}{}{}\n", sha256_file(folder / name), between, name);
  write_file(folder / digests_file, sums);
}

void verify_digests(const fs::path& folder, std::span<const char* const> files) {
  const auto sums = read_sums(folder / digests_file);
  for (const char* name : files) {
    const auto expected = sums.find(name);
    if (expected == sums.end()) {
      refuse(folder / digests_file, fmt::format("the checkpoint is damaged: there is no digest of {}", name));
    }
    require(folder / name);
    const std::string found = sha256_file(folder / name);
    if (found != expected->second) {
      refuse(folder / name, "the checkpoint is damaged: the file has another SHA-256", found,
             expected->second);
    }
  }
}

}  // namespace mdnlab
