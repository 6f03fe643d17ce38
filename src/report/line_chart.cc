#include <algorithm>
#include <cmath>

#include "report/chart.h"
#include "report/svg.h"

namespace mdnlab {

namespace {

constexpr double width = 480, height = 320;
constexpr Box plot{68, 12, 398, 256};
constexpr std::size_t colours = 7, marks = 5;
constexpr std::size_t marks_of_a_line = 6;  // where a line has no mark at each point

class Drawing {
 public:
  explicit Drawing(const LineChart& chart)
      : chart_(chart), svg_(width, height, chart.y.label + " against " + chart.x.label) {
    svg_.axes(plot, chart.x, chart.y);
  }

  void series(const Series& series) {
    svg_.add("<g class=\"{}\"><title>{}</title>", style_class(series.style), escape_html(series.name));
    band(series);
    std::string path;
    bool is_broken = true;
    for (const Point& point : series.points) {
      const bool is_shown = std::isfinite(point.x) && std::isfinite(point.y);
      if (is_shown) path += fmt::format("{}{:.1f} {:.1f}", is_broken ? 'M' : 'L', x(point.x), y(point.y));
      is_broken = !is_shown;
    }
    svg_.add("<path class=\"line\" d=\"{}\"/>", path);
    if (chart_.has_marks) {
      points(series);
    } else {
      some_marks(series);
    }
    svg_.add("</g>");
  }

  std::string end() && { return std::move(svg_).end(); }

 private:
  double x(double value) const { return plot.x(chart_.x.share(value)); }
  // What lies outside of the axis is drawn on its edge; a logarithm's lowest place is for 0 and below, too.
  double y(double value) const {
    const double share = chart_.y.share(value);
    return plot.y(std::isnan(share) ? 0 : std::clamp(share, 0.0, 1.0));
  }

  void band(const Series& series) {
    if (chart_.has_marks) return;
    std::string there, back;
    for (const Point& point : series.points) {
      if (!point.range || !std::isfinite(point.y)) continue;
      there += fmt::format("{:.1f},{:.1f} ", x(point.x), y(point.range->second));
      back.insert(0, fmt::format("{:.1f},{:.1f} ", x(point.x), y(point.range->first)));
    }
    if (!there.empty()) svg_.add("<polygon class=\"band\" points=\"{}{}\"/>", there, back);
  }

  void points(const Series& series) {
    for (const Point& point : series.points) {
      if (!std::isfinite(point.x) || !std::isfinite(point.y)) continue;
      std::string told =
          fmt::format("{}: {} at {}", series.name, fmt::format("{:.4g}", point.y), chart_.x.text(point.x));
      if (point.range) {
        svg_.add("<path class=\"whisker\" d=\"M{:.1f} {:.1f}V{:.1f}\"/>", x(point.x), y(point.range->first),
                 y(point.range->second));
        told += fmt::format(", 95 % {:.4g} to {:.4g}", point.range->first, point.range->second);
      }
      svg_.add("<path class=\"mark\" d=\"{}\"><title>{}</title></path>",
               mark_outline(series.style, x(point.x), y(point.y)), escape_html(told));
    }
  }

  // Each series has its own places, so that lines which run together are told apart.
  void some_marks(const Series& series) {
    const std::size_t step = std::max<std::size_t>(1, series.points.size() / marks_of_a_line);
    for (std::size_t i = series.style % step; i < series.points.size(); i += step) {
      const Point& point = series.points[i];
      if (!std::isfinite(point.x) || !std::isfinite(point.y)) continue;
      svg_.add("<path class=\"mark\" d=\"{}\"/>", mark_outline(series.style, x(point.x), y(point.y)));
    }
  }

  const LineChart& chart_;
  Svg svg_;
};

}  // namespace

std::optional<std::pair<double, double>> range_of(const Interval& interval) {
  if (!interval.has_range) return std::nullopt;
  return std::pair(interval.low, interval.high);
}

std::string style_class(std::size_t style) {
  return fmt::format("c{} d{}", style % colours, style / colours % 3);
}

std::string mark_outline(std::size_t style, double x, double y) {
  switch (style % marks) {
    case 0: return fmt::format("M{:.1f} {:.1f}m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z", x, y);
    case 1: return fmt::format("M{:.1f} {:.1f}m-3.6-3.6h7.2v7.2h-7.2z", x, y);
    case 2: return fmt::format("M{:.1f} {:.1f}m0-5l4.6 8.2h-9.2z", x, y);
    case 3: return fmt::format("M{:.1f} {:.1f}m0-5.2l5.2 5.2l-5.2 5.2l-5.2-5.2z", x, y);
    default: return fmt::format("M{:.1f} {:.1f}m0 5l4.6-8.2h-9.2z", x, y);
  }
}

std::string line_chart(const LineChart& chart) {
  Drawing drawing(chart);
  for (const Series& series : chart.series) drawing.series(series);
  return std::move(drawing).end();
}

std::string swatch(std::size_t style) {
  return fmt::format(
      "<svg class=\"swatch\" viewBox=\"0 0 30 12\" aria-hidden=\"true\"><g class=\"{}\"><path class=\"line\" d=\"M1 6h28\"/>"
      "<path class=\"mark\" d=\"{}\"/></g></svg>",
      style_class(style), mark_outline(style, 15, 6));
}

}  // namespace mdnlab
