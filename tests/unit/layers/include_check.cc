#include "include_check.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>
#include <regex>
#include <set>
#include <string_view>

namespace mdnlab {

namespace fs = std::filesystem;

namespace {

struct Room {
  std::string_view name;
  int level;  // a room includes itself and lower levels
};

// From the top of the house to its door; those of one level do not see each other.
constexpr Room rooms[] = {{"base", 0},     {"config", 1},  {"scan", 2},  {"ops", 3},        {"rule", 4},
                          {"data", 5},     {"metric", 6},  {"task", 7},  {"statistics", 8}, {"model", 9},
                          {"interop", 10}, {"train", 11},  {"eval", 11}, {"check", 11},     {"store", 12},
                          {"run", 13},     {"report", 14}, {"cli", 15}};
constexpr std::string_view rooms_of_plugins[] = {"base", "config", "scan", "ops", "rule"};

std::optional<int> level_of(std::string_view room) {
  const auto found =
      std::find_if(std::begin(rooms), std::end(rooms), [&](const Room& r) { return r.name == room; });
  return found == std::end(rooms) ? std::nullopt : std::optional(found->level);
}

struct Include {
  int line;
  bool is_quoted;
  std::string path;
  std::string folder() const { return path.substr(0, path.find('/')); }
  bool has_folder() const { return path.find('/') != std::string::npos; }
};

std::vector<Include> includes_of(const fs::path& file) {
  static const std::regex pattern(R"re(^\s*#\s*include\s*(["<])([^">]+)[">].*$)re");
  std::vector<Include> includes;
  std::ifstream stream(file);
  std::string text;
  for (int line = 1; std::getline(stream, text); ++line) {
    std::smatch match;
    if (std::regex_match(text, match, pattern)) includes.push_back({line, match[1] == "\"", match[2]});
  }
  return includes;
}

std::vector<fs::path> sources(const fs::path& folder) {
  static const std::set<fs::path> kinds = {".h", ".cc", ".cu", ".cuh"};
  std::vector<fs::path> files;
  if (!fs::exists(folder)) return files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && kinds.contains(entry.path().extension())) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// What is wrong with a file of `room` including this, "" when nothing is.
std::string mistake_of_room(const std::string& room, const Include& include) {
  const std::optional<int> own = level_of(room), other = level_of(include.folder());
  if (!own) return "'" + room + "' is no room; see src/README.md";
  if (!include.has_folder() || !other) {
    return include.is_quoted ? "\"" + include.path + "\" is in no room; write \"room/file.h\"" : "";
  }
  if (include.folder() == room || *other < *own) return "";
  return "'" + room + "' may not include '" + include.folder() + "', which is not above it";
}

std::string mistake_of_plugin(const fs::path& file, const Include& include) {
  const bool is_room = include.has_folder() && level_of(include.folder());
  if (!is_room) {
    const bool is_own = !include.has_folder() && fs::exists(file.parent_path() / include.path);
    return include.is_quoted && !is_own ? "\"" + include.path + "\" is in no room and not beside the plugin"
                                        : "";
  }
  for (const std::string_view room : rooms_of_plugins) {
    if (include.folder() == room) return "";
  }
  return "a plugin may not include '" + include.folder() + "'";
}

}  // namespace

IncludeReport check_includes(const fs::path& root) {
  IncludeReport report;
  for (const char* part : {"src", "plugins"}) {
    for (const fs::path& file : sources(root / part)) {
      ++report.files;
      const fs::path relative = file.lexically_relative(root);
      const std::string room = std::next(relative.begin())->string();
      for (const Include& include : includes_of(file)) {
        if (include.has_folder() && level_of(include.folder())) ++report.includes;
        const std::string mistake = part == std::string_view("src") ? mistake_of_room(room, include)
                                                                    : mistake_of_plugin(file, include);
        if (mistake.empty()) continue;
        report.mistakes.push_back(relative.string() + ":" + std::to_string(include.line) + ": " + mistake);
      }
    }
  }
  return report;
}

}  // namespace mdnlab
