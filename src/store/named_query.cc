#include "store/named_query.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "store/embedded.h"

namespace mdnlab {
namespace {

namespace fs = std::filesystem;

std::string summary_of(std::string_view sql) {
  for (const std::string& line : split(sql, '\n')) {
    if (line.starts_with("--")) return trim(std::string_view(line).substr(2));
  }
  return "";
}

NamedQuery make(std::string_view name, std::string_view sql, std::string origin) {
  return {.name = std::string(name),
          .summary = summary_of(sql),
          .sql = std::string(sql),
          .origin = std::move(origin)};
}

}  // namespace

std::vector<fs::path> query_folders() {
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  return {program.parent_path() / "share/mdnlab/analysis", program.parent_path() / "analysis"};
}

std::vector<NamedQuery> named_queries(std::span<const fs::path> folders) {
  std::map<std::string, NamedQuery, std::less<>> queries;
  std::error_code ignored;
  for (const fs::path& folder : folders) {
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      const std::string name = entry.path().stem().string();
      if (entry.path().extension() != ".sql" || queries.contains(name)) continue;
      queries.emplace(name, make(name, read_file(entry.path()), entry.path().string()));
    }
  }
  for (const auto& [name, sql] : embedded::analysis) queries.emplace(name, make(name, sql, "compiled in"));
  std::vector<NamedQuery> result;
  for (auto& [name, query] : queries) result.push_back(std::move(query));
  return result;
}

std::vector<NamedQuery> named_queries() { return named_queries(query_folders()); }

NamedQuery named_query(std::string_view name, std::span<const fs::path> folders) {
  std::vector<std::string> names;
  for (NamedQuery& query : named_queries(folders)) {
    if (query.name == name) return std::move(query);
    names.push_back(query.name);
  }
  throw Error(Code::usage, {.what = "no query is named " + quote(name), .hint = suggestion(name, names)});
}

NamedQuery named_query(std::string_view name) { return named_query(name, query_folders()); }

bool is_query_name(std::string_view argument) {
  return !argument.empty() && std::ranges::all_of(argument, [](unsigned char letter) {
    return std::isalnum(letter) != 0 || letter == '-' || letter == '_';
  });
}

}  // namespace mdnlab
