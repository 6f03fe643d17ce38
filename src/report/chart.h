// Figures as SVG without a size of their own: they fill the width they are given. Colours are classes of
// page.css, so that light, dark and print each have theirs.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "report/axis.h"
#include "statistics/bootstrap.h"

namespace mdnlab {

struct Point {
  double x = 0, y = 0;
  std::optional<std::pair<double, double>> range;  // of y: its 95 % interval
};

// None where nothing says how the number would vary.
std::optional<std::pair<double, double>> range_of(const Interval& interval);

// `style` chooses colour, dashes and mark together, so that no series is told by its colour alone.
struct Series {
  std::string name;
  std::size_t style = 0;
  std::vector<Point> points;  // by ascending x; what is not finite breaks the line
};

struct LineChart {
  Axis x, y;
  std::vector<Series> series;
  bool has_marks = true;  // else one now and then, and the interval as a band
};

std::string line_chart(const LineChart& chart);

// The swatch of a style for a legend.
std::string swatch(std::size_t style);

std::string style_class(std::size_t style);  // its classes in page.css

// The outline of a style's mark, about 8 units wide around (x, y).
std::string mark_outline(std::size_t style, double x, double y);

// Cells from light (low) to dark (high), each with its number; NaN: an empty cell.
struct HeatMap {
  std::string x_label, y_label;
  std::vector<std::string> columns, rows;  // rows from the top
  std::vector<double> values;              // row by row, 0 to 1
};

std::string heat_map(const HeatMap& map);

// Values by row, each by its style, on one axis.
struct DotChart {
  struct Dot {
    std::string name;
    std::size_t style = 0;
    double value = 0;
    std::optional<std::pair<double, double>> range = {};  // its 95 % interval
  };
  struct Row {
    std::string label;
    std::vector<Dot> dots;
  };
  std::string x_label;
  std::vector<Row> rows;
  Scale scale = Scale::log10;
};

std::string dot_chart(const DotChart& chart);

}  // namespace mdnlab
