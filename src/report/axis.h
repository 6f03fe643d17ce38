// An axis of a figure: from values to places, with ticks at round numbers.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace mdnlab {

enum class Scale { linear, log2, log10 };
enum class Unit { plain, bytes, tokens };  // how tick numbers are written: 0.5, 64 KiB, 4K

struct Axis {
  std::string label;  // with its unit
  Scale scale = Scale::linear;
  Unit unit = Unit::plain;
  double low = 0, high = 1;  // low < high; above 0 on a logarithmic scale

  double share(double value) const;   // 0 at low, 1 at high
  std::vector<double> ticks() const;  // about six, within low … high
  std::string text(double tick) const;
};

// From the smallest to the largest finite value, rounded outwards; `from_0` begins at 0 on a linear scale.
// Values that a logarithmic scale cannot show are left out.
Axis axis_over(std::span<const double> values, std::string label, Scale scale = Scale::linear,
               Unit unit = Unit::plain, bool from_0 = false);

}  // namespace mdnlab
