#include "report/report.h"

#include <fmt/format.h>

#include "base/text.h"
#include "store/named_query.h"
#include "store/query.h"

namespace mdnlab {

std::string comparison_table(const std::filesystem::path& database, TableFormat format) {
  Table table = query(database, named_query("leaderboard").sql);
  if (format == TableFormat::csv || format == TableFormat::json) return table.text(format);
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
