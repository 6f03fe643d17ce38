#include <algorithm>
#include <cmath>

#include "report/chart.h"
#include "report/svg.h"

namespace mdnlab {

namespace {

constexpr double width = 480, left = 78, top = 8, usual_row = 26,
                 least_height = 122;  // the label beside the rows
constexpr int shades = 10;

}  // namespace

std::string heat_map(const HeatMap& map) {
  const auto columns = static_cast<double>(map.columns.size()), rows = static_cast<double>(map.rows.size());
  const double row_height = std::max(usual_row, least_height / rows);
  const double cell = std::min(84.0, (width - left - 8) / columns), bottom = top + rows * row_height;
  Svg svg(width, bottom + 46, map.y_label + " by " + map.x_label);
  for (std::size_t row = 0; row < map.rows.size(); ++row) {
    const double y = top + static_cast<double>(row) * row_height;
    svg.text(left - 6, y + row_height / 2 + 4, "end", map.rows[row]);
    for (std::size_t column = 0; column < map.columns.size(); ++column) {
      const double value = map.values[row * map.columns.size() + column],
                   x = left + static_cast<double>(column) * cell;
      if (std::isnan(value)) {
        svg.add("<rect class=\"none\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>", x + 1,
                y + 1, cell - 2, row_height - 2);
        continue;
      }
      const int shade = std::clamp(static_cast<int>(value * shades), 0, shades - 1);
      svg.add("<g class=\"h{}\"><rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>", shade,
              x + 1, y + 1, cell - 2, row_height - 2);
      svg.text(x + cell / 2, y + row_height / 2 + 4, "middle", fmt::format("{:.2f}", value));
      svg.add("</g>");
    }
  }
  for (std::size_t column = 0; column < map.columns.size(); ++column)
    svg.text(left + (static_cast<double>(column) + 0.5) * cell, bottom + 17, "middle", map.columns[column]);
  svg.text(left + columns * cell / 2, bottom + 38, "middle", map.x_label);
  const double middle = (top + bottom) / 2;
  svg.text(14, middle, "middle", map.y_label, fmt::format(" transform=\"rotate(-90 14 {:.1f})\"", middle));
  return std::move(svg).end();
}

}  // namespace mdnlab
