// A report as one HTML page, as Markdown, as a folder of CSV files: forms of the same tables.
#pragma once

#include <filesystem>
#include <string>

#include "report/section.h"

namespace mdnlab {

// Self-contained: no script, nothing from the network. Everything from outside is escaped. Of a table of more
// than 400 rows the first stand on the page; CSV has them all.
std::string html_page(const Report& report);

// Tables without figures.
std::string markdown_page(const Report& report);

// FILE.csv of each figure's table with exact numbers, and queries/NAME.sql that they came from; made where it
// is missing. Files of the same name are replaced, others stay.
void write_csv_folder(const Report& report, const std::filesystem::path& folder);

}  // namespace mdnlab
