// What a report is made of: sections of figures, each with the table behind it and the queries it came from.
// Pages, Markdown and CSV are forms of the same sections.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "report/grid.h"

namespace mdnlab {

struct Panel {
  std::string title;  // what tells it from its neighbours; may be empty
  std::string svg;
};

struct LegendEntry {
  std::string name;
  std::size_t style = 0;  // chart.h
};

// Panels that stand folded below the others of a figure, until they are asked for.
struct FoldedPanels {
  std::string title;
  std::vector<LegendEntry> legend;
  std::vector<Panel> panels;
};

struct Figure {
  std::string file;   // of the CSV form, without .csv; unlike all others
  std::string title;  // plain text, as everything here but `svg`
  std::string about;  // how the numbers were made; may be empty
  std::vector<LegendEntry> legend;
  std::vector<Panel> panels;  // none: a table alone
  std::vector<FoldedPanels> folded;
  std::vector<std::string> queries;  // names (analysis/)
  Grid table;
  bool is_wide = false;  // panels with small print: on a narrow page they scroll rather than shrink
};

struct Text {
  std::string title, body;  // a document, shown as it is
};

struct Section {
  std::string id, title;
  std::vector<Figure> figures;
  std::vector<Text> texts;
  std::string how_to_fill;  // what to run, where there is nothing to show
  bool is_empty() const { return figures.empty() && texts.empty(); }
};

struct Report {
  std::string title;
  std::string summary;  // one line: what the database holds
  std::vector<Section> sections;
};

}  // namespace mdnlab
