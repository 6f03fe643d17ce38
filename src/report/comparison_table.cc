#include "report/comparison_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "store/named_query.h"
#include "store/query.h"

namespace mdnlab {

namespace {

void drop_empty_columns(Table& table) {
  for (std::size_t column = table.columns.size(); column-- > 0;) {
    const auto is_empty = [&](const std::vector<std::string>& row) { return row[column].empty(); };
    if (table.rows.empty() || !std::ranges::all_of(table.rows, is_empty)) continue;
    const auto place = static_cast<std::ptrdiff_t>(column);
    table.columns.erase(table.columns.begin() + place);
    for (auto& row : table.rows) row.erase(row.begin() + place);
  }
}

}  // namespace

std::string comparison_table(const std::filesystem::path& database, TableFormat format) {
  Table table = query(database, named_query("leaderboard").sql);
  if (table.rows.empty()) {
    note(fmt::format(
        "mdnlab: {}: nothing to compare yet; `mdnlab run experiments/quickstart.yaml` trains rules on "
        "text and recall, `mdnlab report -o report.html` shows whatever there is",
        database.string()));
  }
  if (format == TableFormat::csv || format == TableFormat::json) return table.text(format);
  drop_empty_columns(table);
  for (std::size_t column = 0; column < table.columns.size(); ++column) {
    if (!table.columns[column].number) continue;
    for (auto& row : table.rows) {
      std::int64_t whole = 0;
      if (parse_integer(row[column], whole)) row[column] = grouped(whole);
    }
  }
  for (Table::Column& column : table.columns) {
    for (char& c : column.name) c = c == '_' ? ' ' : c;
  }
  return table.text(format);
}

}  // namespace mdnlab
