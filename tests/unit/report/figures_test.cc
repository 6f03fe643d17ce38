// What figures and tables are drawn from: escapes, cells, axes, marks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "report/axis.h"
#include "report/chart.h"
#include "report/escape.h"
#include "report/grid.h"

namespace mdnlab {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pointwise;

std::size_t times(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++count;
  return count;
}

TEST(Escape, LeavesNoMarkup) {
  EXPECT_EQ(escape_html("<a href=\"x\" id='y'>&amp;"),
            "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;amp;");
  EXPECT_EQ(escape_html("λ ≥ 2\n\tß"), "λ ≥ 2\n\tß");
  EXPECT_EQ(escape_html(std::string("a\0b\x1b", 4)), "a\uFFFDb\uFFFD");
  EXPECT_EQ(escape_html("a\xff\xfe<"), "a\uFFFD\uFFFD&lt;") << "bytes that are not UTF-8";
  EXPECT_EQ(escape_html(""), "");
}

TEST(Grid, HasAFormForReadingAndAnExactOne) {
  Grid grid{.columns = {{"rule"}, {"state_bytes", Grid::Kind::number}, {"accuracy", Grid::Kind::estimate}}};
  grid.rows.push_back({words("mdn"), bytes_cell(65536), estimate(Interval{0.98765, 0.9, 1}, 3)});
  grid.rows.push_back({words("kda"), real(std::nullopt, 1), estimate(std::nullopt, 3)});
  EXPECT_EQ(grid.exact().text(TableFormat::csv),
            "rule,state_bytes,accuracy,accuracy_low,accuracy_high\nmdn,65536,0.98765,0.9,1\nkda,,,,\n");
  const Table shown = grid.for_reading();
  EXPECT_EQ(shown.columns[1].name, "state bytes");
  EXPECT_THAT(shown.rows[0], ElementsAre("mdn", "64.0 KiB", "0.988 [0.900 to 1.000]"));
  EXPECT_THAT(shown.rows[1], ElementsAre("kda", "", ""));
  EXPECT_EQ(real(NAN, 3).shown, "");
  EXPECT_EQ(real(1234567.2, 0).shown, "1,234,567");
}

TEST(Axis, HasRoundTicksWithinIt) {
  const Axis linear = axis_over(std::vector{0.13, 0.94}, "x");
  EXPECT_THAT(linear.ticks(), Pointwise(DoubleNear(1e-9), {0.2, 0.4, 0.6, 0.8}));
  EXPECT_NEAR(linear.low, 0.1, 1e-9);
  EXPECT_NEAR(linear.high, 0.95, 1e-9);
  EXPECT_DOUBLE_EQ(linear.share(linear.low), 0);
  EXPECT_DOUBLE_EQ(linear.share(linear.high), 1);
  const Axis lags = axis_over(std::vector{16.0, 1024.0}, "g", Scale::log2, Unit::tokens);
  std::vector<std::string> texts;
  for (const double tick : lags.ticks()) texts.push_back(lags.text(tick));
  EXPECT_THAT(texts, ElementsAre("16", "32", "64", "128", "256", "512", "1K"));
  const Axis times = axis_over(std::vector{0.3, 6.0}, "ms", Scale::log10);
  for (const double tick : times.ticks()) {
    EXPECT_GE(times.share(tick), 0);
    EXPECT_LE(times.share(tick), 1);
  }
  EXPECT_GE(times.ticks().size(), 3u);
  const Axis small = axis_over(std::vector{3e-6, 0.5}, "c", Scale::log10);
  EXPECT_EQ(small.text(1e-5), "1e-5") << "short";
  EXPECT_EQ(small.text(0.1), "0.1");
}

TEST(Axis, StandsWhateverTheValues) {
  for (const std::vector<double>& values :
       {std::vector<double>{}, {NAN}, {0}, {5, 5}, {-3, -3}, {INFINITY, 1}, {1e-12, 1e12}}) {
    for (const Scale scale : {Scale::linear, Scale::log2, Scale::log10}) {
      const Axis axis = axis_over(values, "x", scale);
      EXPECT_LT(axis.low, axis.high);
      EXPECT_FALSE(axis.ticks().empty());
      EXPECT_LT(axis.ticks().size(), 30u);
    }
  }
  const Axis bytes = axis_over(std::vector{32768.0, 1048576.0}, "state", Scale::log2, Unit::bytes);
  EXPECT_EQ(bytes.text(65536), "64 KiB");
  EXPECT_EQ(bytes.text(1048576), "1 MiB");
}

TEST(LineChart, DrawsEachPointAndBreaksWhereThereIsNone) {
  LineChart chart{.x = axis_over(std::vector{1.0, 4.0}, "lag <g>"), .y = {.label = "bits"}, .series = {}};
  chart.series.push_back(
      {"a & b", 0, {{1, 0.5, std::pair(0.4, 0.6)}, {2, NAN, {}}, {3, 0.25, {}}, {4, 0.2, {}}}});
  const std::string svg = line_chart(chart);
  EXPECT_EQ(times(svg, "class=\"mark\""), 3u);
  EXPECT_EQ(times(svg, "class=\"whisker\""), 1u);
  EXPECT_THAT(svg, HasSubstr("lag &lt;g&gt;"));
  EXPECT_THAT(svg, HasSubstr("<title>a &amp; b: 0.5 at 1, 95 % 0.4 to 0.6</title>"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_EQ(times(svg, "<g"), times(svg, "</g>"));
  chart.has_marks = false;
  EXPECT_EQ(times(line_chart(chart), "class=\"band\""), 1u);
  chart.series[0].points.assign(50, {2, 0.3, {}});
  EXPECT_EQ(times(line_chart(chart), "class=\"mark\""), 7u) << "now and then";
}

TEST(HeatMap, HasACellForEachPlace) {
  const std::string svg = heat_map({.x_label = "tokens",
                                    .y_label = "depth",
                                    .columns = {"512", "1024"},
                                    .rows = {"0", "1"},
                                    .values = {0, 1, 0.55, NAN}});
  EXPECT_EQ(times(svg, "<rect"), 4u);
  EXPECT_EQ(times(svg, "class=\"none\""), 1u);
  EXPECT_THAT(svg, HasSubstr("class=\"h9\""));
  EXPECT_THAT(svg, HasSubstr(">0.55</text>"));
}

TEST(DotChart, PutsOthersBesideOurs) {
  const std::string svg =
      dot_chart({.x_label = "ms", .rows = {{"mdn", {{"us", 0, 0.5}, {"<them>", 3, 2}}}, {"kda", {}}}});
  EXPECT_EQ(times(svg, "class=\"mark\""), 2u);
  EXPECT_EQ(times(svg, "class=\"c0 d0\""), 1u);
  EXPECT_EQ(times(svg, "class=\"c3 d0\""), 1u);
  EXPECT_THAT(svg, HasSubstr("&lt;them&gt;: 2"));
  const std::string shares = dot_chart({.x_label = "accuracy",
                                        .rows = {{"8 pairs", {{"mdn", 0, 0, std::pair(0.0, 0.1)}}}},
                                        .scale = Scale::linear});
  EXPECT_EQ(times(shares, "class=\"whisker\""), 1u);
  EXPECT_THAT(shares, HasSubstr("mdn: 0, 95 % 0 to 0.1"));
}

}  // namespace
}  // namespace mdnlab
