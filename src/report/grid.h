// A table of the report: what people read, and the exact numbers behind it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/table.h"
#include "statistics/bootstrap.h"

namespace mdnlab {

struct Cell {
  std::string shown;               // "0.981", "64.0 KiB"; empty where there is nothing
  std::string range;               // of a 95 % interval: "0.970 to 0.990"; empty where there is none
  std::vector<std::string> exact;  // one cell a CSV column: the text or number, then low and high
};

Cell words(std::string text);
Cell count(std::int64_t number);
Cell bytes_cell(double number);
Cell real(double value, int places);
Cell real(const std::optional<double>& value, int places);
Cell estimate(const std::optional<Interval>& interval, int places);

struct Grid {
  enum class Kind { words, number, estimate };  // estimate: a number with its 95 % interval
  struct Column {
    std::string name;  // as CSV has it: words joined by _
    Kind kind = Kind::words;
    bool is_exact_only = false;  // stands in CSV alone
  };
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;

  // Stands in what people read: somewhere in the column there is something.
  bool is_read(std::size_t column) const;

  Table for_reading() const;  // intervals in brackets behind their number
  Table exact() const;        // an estimate is three columns: name, name_low, name_high
};

// With spaces for _, but in the name of a file: "my_text.txt: bits per byte 1x".
std::string heading(const std::string& column_name);

}  // namespace mdnlab
