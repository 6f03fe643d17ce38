#include "report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <future>

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
  // Sections of the results alone are made side by side: their intervals are most of the work.
  const auto start = [&](Section (*make)(const Results&)) {
    return std::async(std::launch::async, make, std::cref(results));
  };
  std::future<Section> leaderboard = start(leaderboard_section), retention = start(retention_section),
                       influence = start(influence_section), needles = start(needle_section),
                       scores = start(scores_section), position = start(position_section);
  Section loss = loss_section(store, results), stability = stability_section(store, plugins),
          kernels = kernel_section(store, peers), failures = failure_section(store),
          configurations = configuration_section(store);
  const auto add = [&](Section&& section) { report.sections.push_back(std::move(section)); };
  for (std::future<Section>* made : {&leaderboard, &retention, &influence, &needles, &scores})
    add(made->get());
  add(std::move(loss));
  add(position.get());
  for (Section* made : {&stability, &kernels, &failures, &configurations}) add(std::move(*made));
  return report;
}

}  // namespace mdnlab
