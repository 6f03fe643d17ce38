// The questions that come with the program: analysis/*.sql, one a file. The first comment line says what it
// answers.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mdnlab {

struct NamedQuery {
  std::string name;     // the file's name without .sql
  std::string summary;  // its first comment line
  std::string sql;
  std::string origin;  // the file, or "compiled in"
};

// Where .sql files are looked for: share/mdnlab/analysis of an installed program, analysis/ beside a build
// folder.
std::vector<std::filesystem::path> query_folders();

// By name. A file of an earlier folder hides one of a later folder, and a file hides what is compiled in.
std::vector<NamedQuery> named_queries(std::span<const std::filesystem::path> folders);
std::vector<NamedQuery> named_queries();  // of query_folders()

// Code::usage, with the nearest name, when there is none of this name.
NamedQuery named_query(std::string_view name, std::span<const std::filesystem::path> folders);
NamedQuery named_query(std::string_view name);

// Whether an argument of `mdnlab query` is a name (letters, digits, - and _) rather than SQL.
bool is_query_name(std::string_view argument);

}  // namespace mdnlab
