// The map and its picture.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "check/stability/map_svg.h"
#include "check/stability/pointwise.h"
#include "rules.h"

namespace mdnlab::stability {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Every element closed in its order, every attribute quoted; what is wrong first, or "".
std::string fault_of(std::string_view svg) {
  std::vector<std::string> open;
  for (std::size_t at = 0; (at = svg.find('<', at)) != std::string_view::npos;) {
    const std::size_t end = svg.find('>', at);
    if (end == std::string_view::npos) return "an element that does not end";
    const std::string_view element = svg.substr(at + 1, end - at - 1);
    if (std::ranges::count(element, '"') % 2 != 0)
      return "a quote that does not end: " + std::string(element);
    if (element[0] == '/') {
      if (open.empty() || open.back() != element.substr(1))
        return "closed out of order: " + std::string(element);
      open.pop_back();
    } else if (element.back() != '/') {
      open.push_back(std::string(element.substr(0, element.find(' '))));
    }
    at = end;
  }
  if (svg.find("nan") != std::string_view::npos || svg.find("inf,") != std::string_view::npos)
    return "a number that is none";
  return open.empty() ? "" : "left open: " + open.back();
}

TEST(RadiusMap, AgreesWithTheClosedFormInEveryCell) {
  for (const double alpha : {1.0, 0.7, 0.1}) {
    const RadiusMap map = radius_map(gates_of("mdn"), alpha, 60);
    EXPECT_EQ(map.radius.size(), 3600);
    EXPECT_GT(map.compared, 3500);
    EXPECT_EQ(map.agreeing, map.compared);
  }
}

TEST(RadiusMap, TakesTheAxesThatItsRuleHas) {
  EXPECT_EQ(radius_map(gates_of("mdn"), 1, 4).y, Axis::mu);
  EXPECT_EQ(radius_map(gates_of("gated_deltanet"), 1, 4).y, Axis::alpha);
  EXPECT_EQ(radius_map(gates_of("gated_deltanet"), 1, 4).x, Axis::step);
  EXPECT_EQ(radius_map(gates_of("decay_momentum"), 1, 4).x, Axis::alpha);
  const RadiusMap map = radius_map(gates_of("mdn"), 0.9, 10);
  const Gate corner = map.gate(4.4 * 0.95, 0.05);  // the last cell of the first row
  EXPECT_NEAR(map.radius[9], radii(std::vector{corner})[0], 1e-12);
  EXPECT_GT(map.radius[9], 2);
}

TEST(MapSvg, IsWellFormedAndNamesItsLines) {
  for (const char* rule : {"mdn", "gated_deltanet", "decay_momentum", "mamba2"}) {
    const GateSet set = gates_of(rule);
    for (const double alpha : {1.0, 0.2}) {
      const std::string svg =
          map_svg(set, radius_map(set, alpha, 20), {{.alpha = 0.5, .mu = 0.2, .beta = 0.3}});
      EXPECT_EQ(fault_of(svg), "") << rule;
      EXPECT_THAT(svg, HasSubstr(rule));
      EXPECT_THAT(svg, HasSubstr("1 token of the checkpoint"));
    }
  }
  const GateSet set = gates_of("mdn", {"gate_constraint=none"});
  const std::string svg = map_svg(set, radius_map(set, 1, 20));
  EXPECT_THAT(svg, HasSubstr("αβη = (1+α)(1+μ)"));
  EXPECT_THAT(svg, HasSubstr("complex pair"));
  EXPECT_THAT(svg, HasSubstr("gate_constraint none"));
  EXPECT_THAT(svg, Not(HasSubstr("checkpoint")));
  EXPECT_NE(fault_of(svg.substr(0, svg.size() - 9)), "");
}

TEST(MapSvg, SaysWhatAnAxisOrALineIsNot) {
  const auto svg_of = [](const char* rule) {
    const GateSet set = gates_of(rule);
    return map_svg(set, radius_map(set, 1, 20));
  };
  EXPECT_THAT(svg_of("deltanet"), HasSubstr("(α = 1, the upper edge)"));
  EXPECT_THAT(svg_of("gated_deltanet"), Not(HasSubstr("upper edge")));
  EXPECT_THAT(svg_of("mamba2"), AllOf(HasSubstr("of no effect"), HasSubstr("radius = α:")));
  EXPECT_THAT(svg_of("decay_momentum"), HasSubstr("radius = max(α, μ):"));
}

}  // namespace
}  // namespace mdnlab::stability
