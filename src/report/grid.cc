#include "report/grid.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace mdnlab {

Cell words(std::string text) { return {.shown = text, .exact = {text}}; }

Cell count(std::int64_t number) { return {.shown = grouped(number), .exact = {std::to_string(number)}}; }

Cell bytes_cell(double number) {
  return {.shown = bytes_text(std::llround(number)), .exact = {shortest(number)}};
}

Cell real(double value, int places) {
  if (!std::isfinite(value)) return {.exact = {""}};
  return {.shown = places == 0 ? grouped(std::llround(value)) : fixed(value, places),
          .exact = {shortest(value)}};
}

Cell real(const std::optional<double>& value, int places) {
  return value ? real(*value, places) : Cell{.exact = {""}};
}

Cell estimate(const std::optional<Interval>& interval, int places) {
  if (!interval) return {.exact = {"", "", ""}};
  Cell cell = real(interval->value, places);
  cell.exact = {shortest(interval->value), "", ""};
  if (!interval->has_range) return cell;
  cell.range = real(interval->low, places).shown + " to " + real(interval->high, places).shown;
  cell.exact = {shortest(interval->value), shortest(interval->low), shortest(interval->high)};
  return cell;
}

std::string heading(const std::string& column_name) {
  std::string name = column_name;
  const std::size_t file_end = name.rfind(": ");
  std::replace(name.begin() + static_cast<std::ptrdiff_t>(file_end == std::string::npos ? 0 : file_end),
               name.end(), '_', ' ');
  return name;
}

bool Grid::is_read(std::size_t column) const {
  const auto has_something = [&](const std::vector<Cell>& row) { return !row[column].shown.empty(); };
  return !columns[column].is_exact_only && (rows.empty() || std::ranges::any_of(rows, has_something));
}

Table Grid::for_reading() const {
  Table table;
  std::vector<std::size_t> read;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (!is_read(i)) continue;
    read.push_back(i);
    table.columns.push_back({.name = heading(columns[i].name), .number = columns[i].kind != Kind::words});
  }
  for (const std::vector<Cell>& row : rows) {
    std::vector<std::string>& cells = table.rows.emplace_back();
    for (const std::size_t i : read)
      cells.push_back(row[i].range.empty() ? row[i].shown : row[i].shown + " [" + row[i].range + "]");
  }
  return table;
}

Table Grid::exact() const {
  Table table;
  for (const Column& column : columns) {
    const bool is_number = column.kind != Kind::words;
    table.columns.push_back({.name = column.name, .number = is_number});
    if (column.kind != Kind::estimate) continue;
    table.columns.push_back({.name = column.name + "_low", .number = true});
    table.columns.push_back({.name = column.name + "_high", .number = true});
  }
  for (const std::vector<Cell>& row : rows) {
    std::vector<std::string>& cells = table.rows.emplace_back();
    for (const Cell& cell : row) cells.insert(cells.end(), cell.exact.begin(), cell.exact.end());
  }
  return table;
}

}  // namespace mdnlab
