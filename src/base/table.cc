#include "base/table.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/text.h"

namespace mdnlab {

namespace {

// Lines of a cell become one: these forms know no line break inside a row.
std::string one_line(std::string_view cell) {
  std::string result;
  for (const char c : cell) result += c == '\n' || c == '\r' || c == '\t' ? ' ' : c;
  return result;
}

std::string markdown_cell(std::string_view cell) {
  std::string result;
  for (const char c : one_line(cell)) {
    if (c == '|') result += '\\';
    result += c;
  }
  return result;
}

std::string csv_cell(std::string_view cell) {
  if (cell.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(cell);
  std::string result = "\"";
  for (const char c : cell) {
    if (c == '"') result += '"';
    result += c;
  }
  return result + '"';
}

std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_cell(std::string_view cell, bool is_number) {
  if (!is_number) return json_string(cell);
  if (cell.empty()) return "null";
  const bool looks_like_one = cell.front() == '-' || (cell.front() >= '0' && cell.front() <= '9');
  return looks_like_one && nlohmann::json::accept(cell) ? std::string(cell) : json_string(cell);
}

std::string padded(const std::string& cell, std::size_t width, bool right) {
  const std::string blanks(width - std::min(width, code_points(cell)), ' ');
  return right ? blanks + cell : cell + blanks;
}

using Cells = std::vector<std::string>;

// The header and the rows, every cell through `convert` and padded to its column's width.
template <class Convert>
std::vector<Cells> aligned(const Table& table, Convert convert, std::size_t least_width) {
  std::vector<Cells> lines(1);
  for (const Table::Column& column : table.columns) lines[0].push_back(convert(column.name));
  for (const Cells& row : table.rows) {
    Cells& line = lines.emplace_back();
    for (const std::string& cell : row) line.push_back(convert(cell));
  }
  for (std::size_t j = 0; j < table.columns.size(); ++j) {
    std::size_t width = least_width;
    for (const Cells& line : lines) width = std::max(width, code_points(line[j]));
    for (Cells& line : lines) line[j] = padded(line[j], width, table.columns[j].number);
  }
  return lines;
}

std::string plain(const Table& table) {
  std::string result;
  for (const Cells& line : aligned(table, one_line, 0)) {
    std::string text = join(line, "  ");
    text.erase(text.find_last_not_of(' ') + 1);
    result += text + "\n";
  }
  return result;
}

std::string markdown(const Table& table) {
  std::vector<Cells> lines = aligned(table, markdown_cell, 3);
  Cells rule;
  for (std::size_t j = 0; j < table.columns.size(); ++j) {
    std::string dashes(code_points(lines[0][j]), '-');
    if (table.columns[j].number) dashes.back() = ':';
    rule.push_back(dashes);
  }
  lines.insert(lines.begin() + 1, rule);
  std::string result;
  for (const Cells& line : lines) result += "| " + join(line, " | ") + " |\n";
  return result;
}

std::string csv(const Table& table) {
  std::vector<Cells> lines(1);
  for (const Table::Column& column : table.columns) lines[0].push_back(column.name);
  lines.insert(lines.end(), table.rows.begin(), table.rows.end());
  std::string result;
  for (Cells& line : lines) {
    for (std::string& cell : line) cell = csv_cell(cell);
    result += join(line, ",") + "\n";
  }
  return result;
}

std::string json(const Table& table) {
  Cells objects;
  for (const Cells& row : table.rows) {
    Cells members;
    for (std::size_t j = 0; j < row.size(); ++j) {
      members.push_back(json_string(table.columns[j].name) + ": " +
                        json_cell(row[j], table.columns[j].number));
    }
    objects.push_back("  {" + join(members, ", ") + "}");
  }
  return objects.empty() ? "[]\n" : "[\n" + join(objects, ",\n") + "\n]\n";
}

}  // namespace

std::string Table::text(TableFormat format) const {
  for (const Cells& row : rows) {
    if (row.size() != columns.size()) throw std::logic_error("Table: a row has not one cell a column");
  }
  switch (format) {
    case TableFormat::plain: return plain(*this);
    case TableFormat::markdown: return markdown(*this);
    case TableFormat::csv: return csv(*this);
    case TableFormat::json: return json(*this);
  }
  throw std::logic_error("Table: unknown format");
}

}  // namespace mdnlab
