#include "report/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace mdnlab {

namespace {

constexpr double about = 6;  // ticks

// The round step (1, 2 or 5 times a power of 10) that divides `width` into about six.
double round_step(double width) {
  const double rough = width / about, power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * 0.999) return factor * power;
  }
  return 10 * power;
}

double map(Scale scale, double value) {
  return scale == Scale::linear ? value : scale == Scale::log2 ? std::log2(value) : std::log10(value);
}

}  // namespace

double Axis::share(double value) const {
  const double from = map(scale, low);
  return (map(scale, value) - from) / (map(scale, high) - from);
}

std::vector<double> Axis::ticks() const {
  std::vector<double> places;
  const double slack = 1e-9;
  if (scale == Scale::linear) {
    const double step = round_step(high - low);
    for (double i = std::ceil(low / step - slack); i * step <= high + slack * step; ++i)
      places.push_back(i * step);
    return places;
  }
  const double from = std::ceil(map(scale, low) - slack), to = std::floor(map(scale, high) + slack);
  const double every = std::max(1.0, std::ceil((to - from) / about));
  for (double i = from; i <= to; i += every) {
    const double power = scale == Scale::log2 ? std::exp2(i) : std::pow(10, i);
    places.push_back(power);
    if (scale == Scale::log2 || to - from > 2) continue;
    for (const double factor : {2.0, 5.0}) {
      if (factor * power <= high * (1 + slack)) places.push_back(factor * power);
    }
  }
  if (scale == Scale::log10 && to - from <= 2) {
    for (const double factor : {2.0, 5.0}) {
      const double place = factor * std::pow(10, from - 1);
      if (place >= low * (1 - slack)) places.push_back(place);
    }
  }
  return places;
}

std::string Axis::text(double tick) const {
  if (unit == Unit::bytes) {
    std::string text = bytes_text(std::llround(tick));
    if (const std::size_t zero = text.find(".0 "); zero != std::string::npos) text.erase(zero, 2);
    return text;
  }
  if (unit == Unit::tokens) {
    struct Large {
      double size;
      const char* letter;
    };
    // Powers of two read as such: 4K is 4,096 tokens where the scale counts in powers of two.
    const double thousand = scale == Scale::log2 ? 1024 : 1000;
    for (const Large& large : {Large{thousand * thousand * thousand, "G"}, Large{thousand * thousand, "M"},
                               Large{thousand, "K"}}) {
      if (std::abs(tick) >= large.size) return fmt::format("{:.4g}{}", tick / large.size, large.letter);
    }
  }
  // Small powers as such: 1e-4.
  if (scale == Scale::log10 && tick < 0.01) {
    const double power = std::floor(std::log10(tick) + 1e-9);
    return fmt::format("{:.3g}e{:.0f}", tick / std::pow(10, power), power);
  }
  return fmt::format("{:.6g}", std::abs(tick) < 1e-12 ? 0.0 : tick);
}

Axis axis_over(std::span<const double> values, std::string label, Scale scale, Unit unit, bool from_0) {
  double low = INFINITY, high = -INFINITY;
  for (const double value : values) {
    if (!std::isfinite(value) || (scale != Scale::linear && value <= 0)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (low > high) low = high = 1;
  if (scale != Scale::linear) {
    if (low == high) {
      low /= 2;
      high *= 2;
    }
    const double margin = std::pow(high / low, 0.03);
    return {std::move(label), scale, unit, low / margin, high * margin};
  }
  if (from_0) low = std::min(low, 0.0);
  if (low == high) high = low + (low == 0 ? 1 : std::abs(low) * 0.1);
  // Rounded to quarters of what lies between two ticks: to whole ones much of the picture could be empty.
  const double quarter = round_step(high - low) / 4;
  return {std::move(label), scale, unit, std::floor(low / quarter + 1e-9) * quarter,
          std::ceil(high / quarter - 1e-9) * quarter};
}

}  // namespace mdnlab
