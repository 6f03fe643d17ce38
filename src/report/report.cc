#include "report/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "report/sections.h"
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

Report make_report(const std::filesystem::path& database, const Plugins& plugins,
                   const std::optional<std::filesystem::path>& peers) {
  Store store = Store::open_reading(database);
  store.sql().script("begin");  // one moment of it: runs may go on meanwhile
  const auto number_of = [&](const char* table) {
    return store.sql().integer(fmt::format("select count(*) from {}", table));
  };
  Report report{.title = "Report of " + database.filename().string()};
  if (const std::int64_t runs = number_of("run"), scores = number_of("evaluation"),
      benches = number_of("bench");
      runs + scores + benches == 0) {
    report.summary =
        "The database has no results yet: `mdnlab run FILE.yaml` trains what a file names and stores what it measures.";
  } else {
    Statement newest = store.sql().query("select coalesce(max(ended_at), '') from run");
    newest.step();
    report.summary = fmt::format(
        "{} runs, {} of them done, {} scores, {} kernel timings{}.", grouped(runs),
        grouped(number_of("run where state = 'done'")), grouped(scores), grouped(benches),
        newest.text(0).empty() ? "" : "; the newest run ended " + newest.text(0).substr(0, 16) + " UTC");
  }
  const Results results = load_results(store);
  report.sections = {
      leaderboard_section(results), retention_section(results),        influence_section(results),
      needle_section(results),      scores_section(results),           loss_section(store, results),
      position_section(results),    stability_section(store, plugins), kernel_section(store, peers),
      failure_section(store),       configuration_section(store)};
  return report;
}

}  // namespace mdnlab
