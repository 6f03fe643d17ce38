#include <algorithm>

#include "report/chart.h"
#include "report/svg.h"

namespace mdnlab {

namespace {

constexpr double width = 480, left = 12, top = 4, row_height = 36;

}  // namespace

std::string dot_chart(const DotChart& chart) {
  std::vector<double> values;
  for (const DotChart::Row& row : chart.rows) {
    for (const DotChart::Dot& dot : row.dots) {
      values.push_back(dot.value);
      if (dot.range) values.insert(values.end(), {dot.range->first, dot.range->second});
    }
  }
  const Axis x = axis_over(values, chart.x_label, chart.scale);
  const auto place = [&](double value) { return std::clamp(x.share(value), 0.0, 1.0); };
  const Box plot{left, top, width - 2 * left, static_cast<double>(chart.rows.size()) * row_height};
  Svg svg(width, plot.top + plot.height + 46, chart.x_label);
  for (const double tick : x.ticks())
    svg.add("<path class=\"grid\" d=\"M{:.1f} {:.1f}v{:.1f}\"/>", plot.x(x.share(tick)), plot.top,
            plot.height);
  for (std::size_t i = 0; i < chart.rows.size(); ++i) {
    const DotChart::Row& row = chart.rows[i];
    const double y = plot.top + static_cast<double>(i) * row_height + 26;
    svg.text(left, y - 12, "start", row.label, " class=\"label\"");
    svg.add("<path class=\"grid\" d=\"M{} {}h{}\"/>", left, y, plot.width);
    for (const DotChart::Dot& dot : row.dots) {
      svg.add("<g class=\"{}\">", style_class(dot.style));
      if (dot.range) {
        svg.add("<path class=\"whisker\" d=\"M{:.1f} {}H{:.1f}\"/>", plot.x(place(dot.range->first)), y,
                plot.x(place(dot.range->second)));
      }
      svg.add("<path class=\"mark\" d=\"{}\"><title>{}: {:.4g}{}</title></path></g>",
              mark_outline(dot.style, plot.x(place(dot.value)), y), escape_html(dot.name), dot.value,
              dot.range ? fmt::format(", 95 % {:.4g} to {:.4g}", dot.range->first, dot.range->second) : "");
    }
  }
  svg.x_axis(plot, x);
  return std::move(svg).end();
}

}  // namespace mdnlab
