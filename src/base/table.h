// A table of text cells and its four printed forms.
#pragma once

#include <string>
#include <vector>

namespace mdnlab {

enum class TableFormat { plain, markdown, csv, json };

struct Table {
  struct Column {
    std::string name;
    bool number = false;  // right-aligned; a bare JSON number
  };
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;  // an empty cell of a number column is JSON null

  // Ends with a newline. plain: aligned with two spaces between columns; csv: RFC 4180; json: an array of objects.
  std::string text(TableFormat format) const;
};

}  // namespace mdnlab
