// SVG text, piece by piece.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

#include "report/axis.h"
#include "report/escape.h"

namespace mdnlab {

struct Box {
  double left, top, width, height;
  double x(double share) const { return left + share * width; }
  double y(double share) const { return top + (1 - share) * height; }
};

class Svg {
 public:
  // `about` is read out in place of the picture.
  Svg(double width, double height, std::string_view about) : width_(width) {
    add("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", width, height, escape_html(about));
  }

  template <class... Values>
  void add(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Values>(values)...);
  }

  // anchor: start, middle, end.
  void text(double x, double y, std::string_view anchor, std::string_view words,
            std::string_view extra = "") {
    add("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>", x, y, anchor, extra,
        escape_html(words));
  }

  void axes(const Box& box, const Axis& x, const Axis& y) {
    for (const double tick : y.ticks()) {
      const double at = box.y(y.share(tick));
      add("<path class=\"grid\" d=\"M{:.1f} {:.1f}h{:.1f}\"/>", box.left, at, box.width);
      text(box.left - 6, at + 4, "end", y.text(tick));
    }
    x_axis(box, x);
    const double middle = box.top + box.height / 2;
    text(14, middle, "middle", y.label, fmt::format(" transform=\"rotate(-90 14 {:.1f})\"", middle));
  }

  void x_axis(const Box& box, const Axis& x) {
    const double bottom = box.top + box.height;
    add("<path class=\"axis\" d=\"M{:.1f} {:.1f}h{:.1f}\"/>", box.left, bottom, box.width);
    for (const double tick : x.ticks()) {
      const double at = box.x(x.share(tick));
      add("<path class=\"axis\" d=\"M{:.1f} {:.1f}v4\"/>", at, bottom);
      // The outermost number may not leave the picture.
      const std::string words = x.text(tick);
      const double half = 3.9 * static_cast<double>(words.size());
      text(std::clamp(at, half, std::max(half, width_ - half)), bottom + 18, "middle", words);
    }
    text(box.left + box.width / 2, bottom + 38, "middle", x.label);
  }

  std::string end() && { return std::move(text_) + "</svg>"; }

 private:
  double width_;
  std::string text_;
};

}  // namespace mdnlab
