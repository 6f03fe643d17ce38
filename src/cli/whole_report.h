// What `mdnlab report` writes with -o, beyond the table that asks the database alone.
#pragma once

#include <filesystem>

#include "cli/arguments.h"

namespace mdnlab {

inline bool is_folder(const std::filesystem::path& output) {
  return output.filename().empty() || std::filesystem::is_directory(output);
}

// The page, Markdown, or a folder of CSV files; `output` is one of them. Its maps of stability ask the rules:
// so mdnlab-torch writes it (whole_report.cc), and mdnlab becomes that program (main.cc).
void write_whole_report(const Arguments& arguments, const std::filesystem::path& output);

}  // namespace mdnlab
