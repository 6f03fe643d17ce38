// A table of text cells and its four printed forms.
#pragma once

#include <string>
#include <vector>

namespace mdnlab {

enum class TableFormat { plain, markdown, csv, json };

struct Table {
  struct Column {
    std::string name;
    bool number = false;  // right-aligned; a bare JSON number where the cell is one, else a JSON string
  };
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;  // an empty cell of a number column is JSON null

  // Ends with a newline. plain: aligned, two spaces between columns; csv: quoted as in RFC 4180, lines end
  // with \n; json: an array of objects, one a line. plain and markdown put a space for a line break.
  // Every row has one cell a column, else std::logic_error.
  std::string text(TableFormat format) const;
};

}  // namespace mdnlab
