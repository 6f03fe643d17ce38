#include "check/stability/map_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <optional>

#include "base/text.h"
#include "check/stability/pointwise.h"

namespace mdnlab::stability {

namespace {

constexpr double left = 72, top = 64, plot_width = 520, plot_height = 420, legend = left + plot_width + 24;
constexpr double width = legend + 226, height = top + plot_height + 64;

struct Band {
  double up_to;  // radius
  const char* colour;
  const char* label;
};
constexpr Band bands[] = {{0.25, "#f7fbff", "up to 0.25"},   {0.5, "#e3eef8", "0.25 to 0.5"},
                          {0.75, "#cfe1f2", "0.5 to 0.75"},  {0.9, "#b5d4e9", "0.75 to 0.9"},
                          {1 + 1e-9, "#93c4de", "0.9 to 1"}, {1.25, "#fee8d8", "1 to 1.25: grows"},
                          {1.5, "#fdcfb0", "1.25 to 1.5"},   {2, "#fcae85", "1.5 to 2"},
                          {3, "#f98a5e", "2 to 3"},          {INFINITY, "#ec6239", "more than 3"}};

std::size_t band_of(double radius) {
  return static_cast<std::size_t>(
      std::ranges::find_if(bands, [&](const Band& b) { return radius <= b.up_to; }) - bands);
}

struct Line {
  const char* colour;
  const char* dashes;
  double width;
  std::vector<std::string> label;
  std::function<std::optional<double>(double alpha, double mu)> step;  // βη there; nothing: no line
};

std::string axis_label(Axis axis, bool has_delta) {
  switch (axis) {
    case Axis::step:
      return has_delta ? "βη: what one token takes off the memory along its key (1 = all of it)"
                       : "βη: of no effect, since nothing is taken off without delta";
    case Axis::alpha: return "α: what decay leaves of the memory after one token";
    case Axis::mu: break;
  }
  return "μ: what is left of the velocity after one token";
}

class Drawing {
 public:
  Drawing(const GateSet& set, const RadiusMap& map) : set_(set), map_(map) {
    add("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
        "font-family=\"Helvetica, Arial, DejaVu Sans, sans-serif\" font-size=\"12\" fill=\"#222\">\n"
        "<rect width=\"{0}\" height=\"{1}\" fill=\"#fff\"/>\n",
        width, height);
  }

  void title() {
    const std::string name =
        set_.constraint.empty() ? set_.rule : set_.rule + ", gate_constraint " + set_.constraint;
    const bool fixes_alpha = map_.x != Axis::alpha && map_.y != Axis::alpha;
    add("<text x=\"{}\" y=\"26\" font-size=\"16\" font-weight=\"bold\">{}</text>\n", left, name);
    add("<text x=\"{}\" y=\"46\">Spectral radius of one token along its own key{}</text>\n", left,
        fixes_alpha ? fmt::format(", at α = {:.4g}", map_.alpha) : "");
  }

  // Cells of one colour that lie side by side are one rectangle.
  void heat() {
    const double w = plot_width / static_cast<double>(map_.cells),
                 h = plot_height / static_cast<double>(map_.cells);
    add("<g shape-rendering=\"crispEdges\">\n");
    for (std::int64_t row = 0; row < map_.cells; ++row) {
      const double* radius = map_.radius.data() + row * map_.cells;
      for (std::int64_t from = 0, to = 0; from < map_.cells; from = to) {
        const std::size_t band = band_of(radius[from]);
        while (to < map_.cells && band_of(radius[to]) == band) ++to;
        add("<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" fill=\"{}\"/>\n",
            left + static_cast<double>(from) * w, top + plot_height - static_cast<double>(row + 1) * h,
            static_cast<double>(to - from) * w, h + 0.05, bands[band].colour);
      }
    }
    add("</g>\n");
  }

  // The region of complex eigenvalues between its two edges.
  void complex_region() {
    if (map_.x != Axis::step || map_.y != Axis::mu) return;
    std::string there, back;
    for (int i = 0; i <= samples; ++i) {
      const double y = static_cast<double>(i) / samples;
      const Gate gate = map_.gate(0, y);
      const auto [from, to] = complex_steps(gate.alpha, gate.mu);
      there += point(std::min(from, map_.most_x), y);
      back.insert(0, point(std::min(to, map_.most_x), y));
    }
    add("<defs><pattern id=\"hatch\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\" "
        "patternTransform=\"rotate(45)\"><line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"8\" stroke=\"#4b4b8f\" "
        "stroke-width=\"1\" stroke-opacity=\"0.55\"/></pattern></defs>\n"
        "<polygon points=\"{}{}\" fill=\"url(#hatch)\" stroke=\"#4b4b8f\" stroke-width=\"1\"/>\n",
        there, back);
  }

  // A line that is there at one y only is drawn from 0 on.
  void line(const Line& line) {
    std::string points, first;
    int found = 0;
    for (int i = 0; i <= samples; ++i) {
      const double y = static_cast<double>(i) / samples;
      const Gate gate = map_.gate(0, y);
      const std::optional<double> x = line.step(gate.alpha, gate.mu);
      if (!x || *x > map_.most_x) continue;
      if (++found == 1) first = point(0, y);
      points += point(*x, y);
    }
    if (found == 1) points = first + points;
    add("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" stroke-dasharray=\"{}\"/>\n",
        points, line.colour, line.width, line.dashes);
  }

  // Returns how many lie beyond the axes.
  std::size_t points(const std::vector<Gate>& gates) {
    std::size_t beyond = 0;
    add("<g fill=\"#111\" fill-opacity=\"0.45\">\n");
    for (const Gate& gate : gates) {
      const auto [x, y] = map_.place(gate);
      if (x > map_.most_x || y > 1)
        ++beyond;
      else
        add("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"1.6\"/>\n", at_x(x), at_y(y));
    }
    add("</g>\n");
    return beyond;
  }

  void axes() {
    add("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#222\"/>\n", left, top,
        plot_width, plot_height);
    const double step = map_.most_x > 1 ? 0.5 : 0.1;
    for (int i = 0; step * i <= map_.most_x + 1e-9; ++i) {
      const double x = at_x(step * i), y = top + plot_height;
      add("<path d=\"M{0:.1f} {1}v5\" stroke=\"#222\"/>"
          "<text x=\"{0:.1f}\" y=\"{2}\" text-anchor=\"middle\">{3:.1f}</text>\n",
          x, y, y + 19, step * i);
    }
    for (int i = 0; i <= 10; ++i) {
      const double y = at_y(i / 10.0);
      add("<path d=\"M{0} {1:.1f}h-5\" stroke=\"#222\"/>"
          "<text x=\"{2}\" y=\"{3:.1f}\" text-anchor=\"end\">{4:.1f}</text>\n",
          left, y, left - 9, y + 4, i / 10.0);
    }
    add("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", left + plot_width / 2,
        top + plot_height + 44, axis_label(map_.x, set_.has_delta));
    add("<text transform=\"translate(24 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
        top + plot_height / 2, axis_label(map_.y, set_.has_delta));
  }

  void key(const std::vector<Line>& lines, std::size_t shown, std::size_t beyond) {
    double y = top + 10;
    add("<text x=\"{}\" y=\"{}\" font-weight=\"bold\">Radius, computed</text>\n", legend, y);
    for (const Band& band : bands) {
      y += 18;
      add("<rect x=\"{}\" y=\"{}\" width=\"22\" height=\"14\" fill=\"{}\" stroke=\"#999\" "
          "stroke-width=\"0.5\"/><text x=\"{}\" y=\"{}\">{}</text>\n",
          legend, y - 11, band.colour, legend + 30, y, band.label);
    }
    y += 30;
    add("<text x=\"{}\" y=\"{}\" font-weight=\"bold\">Closed form{}</text>\n", legend, y,
        lines.empty() ? "" : "s");
    if (lines.empty()) {
      y += 20;
      words({set_.has_momentum ? "radius = max(α, μ):" : "radius = α:", "nothing grows"}, y);
    }
    for (const Line& line : lines) {
      y += 20;
      add("<path d=\"M{} {}h22\" stroke=\"{}\" stroke-width=\"{}\" stroke-dasharray=\"{}\"/>\n", legend,
          y - 4, line.colour, line.width, line.dashes);
      words(line.label, y);
    }
    if (map_.x == Axis::step && map_.y == Axis::mu) {
      y += 20;
      add("<rect x=\"{}\" y=\"{}\" width=\"22\" height=\"12\" fill=\"url(#hatch)\" stroke=\"#4b4b8f\"/>\n",
          legend, y - 11);
      words({"complex pair: oscillates,", "damped by αμ alone"}, y);
    }
    if (shown == 0) return;
    y += 20;
    add("<circle cx=\"{}\" cy=\"{}\" r=\"2.5\" fill=\"#111\" fill-opacity=\"0.6\"/>\n", legend + 11, y - 4);
    std::vector<std::string> label{
        fmt::format("{} token{} of the checkpoint,", grouped(static_cast<std::int64_t>(shown)),
                    shown == 1 ? "" : "s"),
        "each at its own α"};
    if (beyond > 0)
      label.push_back(fmt::format("({} lie beyond the axes)", grouped(static_cast<std::int64_t>(beyond))));
    words(label, y);
  }

  std::string text() && { return std::move(text_) + "</svg>\n"; }

 private:
  static constexpr int samples = 240;

  template <class... Values>
  void add(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Values>(values)...);
  }
  double at_x(double x) const { return left + plot_width * x / map_.most_x; }
  double at_y(double y) const { return top + plot_height * (1 - y); }
  std::string point(double x, double y) const { return fmt::format("{:.1f},{:.1f} ", at_x(x), at_y(y)); }
  void words(const std::vector<std::string>& lines, double& y) {
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (i > 0) y += 15;
      add("<text x=\"{}\" y=\"{}\">{}</text>\n", legend + 30, y, lines[i]);
    }
  }

  const GateSet& set_;
  const RadiusMap& map_;
  std::string text_;
};

std::vector<Line> lines_of(const GateSet& set, const RadiusMap& map) {
  if (map.x != Axis::step || !set.has_delta) return {};
  std::vector<Line> lines{
      {"#111", "", 2, {"αβη = (1+α)(1+μ): beyond it", "one fixed key grows"}, most_step_one_key}};
  if (set.has_momentum) {
    lines.push_back({"#08740f",
                     "",
                     2,
                     {"βη = 2(1−ν)²/(1+ν), ν = μ/α:", "up to it no key sequence", "grows (constant gates)"},
                     most_step_every_key});
  }
  const bool has_one_alpha = !set.decays() && map.y == Axis::alpha;
  std::vector<std::string> reach{"what these gates can reach"};
  if (has_one_alpha) reach.emplace_back("(α = 1, the upper edge)");
  lines.push_back({"#a3007a", "7 4", has_one_alpha ? 5.0 : 2.0, std::move(reach),
                   [&set, has_one_alpha](double alpha, double mu) -> std::optional<double> {
                     if (has_one_alpha && alpha < 1) return std::nullopt;
                     return set.most_step(alpha, mu);
                   }});
  return lines;
}

}  // namespace

std::string map_svg(const GateSet& set, const RadiusMap& map, const std::vector<Gate>& gates) {
  const std::vector<Line> lines = lines_of(set, map);
  Drawing drawing(set, map);
  drawing.title();
  drawing.heat();
  drawing.complex_region();
  const std::size_t beyond = drawing.points(gates);
  for (const Line& line : lines) drawing.line(line);
  drawing.axes();
  drawing.key(lines, gates.size(), beyond);
  return std::move(drawing).text();
}

}  // namespace mdnlab::stability
