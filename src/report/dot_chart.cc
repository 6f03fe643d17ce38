#include "report/chart.h"
#include "report/svg.h"

namespace mdnlab {

namespace {

constexpr double width = 480, left = 12, top = 4, row_height = 36;

void disc(Svg& svg, const Box& plot, const Axis& x, double y, double value) {
  svg.add(
      "<path class=\"c0 mark\" d=\"M{:.1f} {:.1f}m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z\"><title>{:.4g}</title></path>",
      plot.x(x.share(value)), y, value);
}

void diamond(Svg& svg, const Box& plot, const Axis& x, double y,
             const std::pair<std::string, double>& other) {
  svg.add(
      "<path class=\"c1 hollow\" d=\"M{:.1f} {:.1f}m0-6l6 6l-6 6l-6-6z\"><title>{}: {:.4g}</title></path>",
      plot.x(x.share(other.second)), y, escape_html(other.first), other.second);
}

}  // namespace

std::string dot_chart(const DotChart& chart) {
  std::vector<double> values;
  for (const DotChart::Row& row : chart.rows) {
    if (row.ours) values.push_back(*row.ours);
    for (const auto& [name, value] : row.others) values.push_back(value);
  }
  const Axis x = axis_over(values, chart.x_label, Scale::log10);
  const Box plot{left, top, width - 2 * left, static_cast<double>(chart.rows.size()) * row_height};
  Svg svg(width, plot.top + plot.height + 46, chart.x_label);
  for (const double tick : x.ticks())
    svg.add("<path class=\"grid\" d=\"M{:.1f} {:.1f}v{:.1f}\"/>", plot.x(x.share(tick)), plot.top,
            plot.height);
  for (std::size_t i = 0; i < chart.rows.size(); ++i) {
    const DotChart::Row& row = chart.rows[i];
    const double y = plot.top + static_cast<double>(i) * row_height + 26;
    svg.text(left, y - 12, "start", row.label);
    svg.add("<path class=\"grid\" d=\"M{} {}h{}\"/>", left, y, plot.width);
    for (const auto& other : row.others) diamond(svg, plot, x, y, other);
    if (row.ours) disc(svg, plot, x, y, *row.ours);
  }
  svg.x_axis(plot, x);
  return std::move(svg).end();
}

}  // namespace mdnlab
