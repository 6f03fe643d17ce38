#include "base/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace mdnlab {
namespace {

using testing::ElementsAre;
using Words = std::vector<std::string>;

TEST(Nearest, FindsEveryKindOfSlip) {
  const Words words = {"steps", "warmup_steps", "seed", "weight_decay"};
  EXPECT_EQ(nearest("stpes", words), "steps");   // swap
  EXPECT_EQ(nearest("step", words), "steps");    // delete
  EXPECT_EQ(nearest("steeps", words), "steps");  // insert
  EXPECT_EQ(nearest("stebs", words), "steps");   // replace
  EXPECT_EQ(nearest("wieght_decy", words), "weight_decay");
  EXPECT_EQ(nearest("steps", words), "steps");
}

TEST(Nearest, ASwapOfNeighboursIsOneEdit) {
  EXPECT_EQ(nearest("abcd", Words{"abxy", "badc"}), "abxy");  // both at 2: the first
  EXPECT_EQ(nearest("abcd", Words{"abxy", "bacd"}), "bacd");
}

TEST(Nearest, GivesUpPastItsLimit) {
  EXPECT_EQ(nearest("abcdef", Words{"abcxyz"}), "");                 // 3 edits, limit 2
  EXPECT_EQ(nearest("abcdefghi", Words{"abcdefxyz"}), "abcdefxyz");  // 3 edits, limit 3
  EXPECT_EQ(nearest("lr", Words{"dt", "x"}), "");                    // nothing in common
  EXPECT_EQ(nearest("word", Words{}), "");
  EXPECT_EQ(nearest("", Words{"ab"}), "");
}

TEST(Nearest, ALongWordIsNoLongSearch) {
  EXPECT_EQ(nearest(std::string(1 << 20, 'x'), Words{"steps", "seed"}), "");
}

TEST(Suggestion, NamesTheNearestOrAll) {
  EXPECT_EQ(suggestion("stpes", Words{"steps", "seed"}), "did you mean 'steps'?");
  EXPECT_EQ(suggestion("colour", Words{"steps", "seed"}), "one of: steps, seed");
  EXPECT_EQ(suggestion("colour", Words{}), "");
}

TEST(Text, JoinSplitTrim) {
  EXPECT_EQ(join(Words{"a", "", "b"}, ", "), "a, , b");
  EXPECT_EQ(join(Words{}, ", "), "");
  EXPECT_THAT(split("a.b..c", '.'), ElementsAre("a", "b", "", "c"));
  EXPECT_THAT(split("", '.'), ElementsAre(""));
  EXPECT_THAT(split("a.", '.'), ElementsAre("a", ""));
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim(" \n "), "");
  EXPECT_EQ(quote("x"), "'x'");
}

TEST(ParseInteger, TakesWholeNumbersOnly) {
  std::int64_t value = 0;
  EXPECT_TRUE(parse_integer("-42", value));
  EXPECT_EQ(value, -42);
  EXPECT_TRUE(parse_integer("9223372036854775807", value));
  EXPECT_EQ(value, std::numeric_limits<std::int64_t>::max());
  EXPECT_TRUE(parse_integer("-9223372036854775808", value));
  EXPECT_EQ(value, std::numeric_limits<std::int64_t>::min());
}

TEST(ParseInteger, RefusesTheRestAndLeavesTheValue) {
  for (const char* text :
       {"", " 1", "1 ", "1x", "+1", "--1", "0x10", "1.0", "1e3", "1,000", "9223372036854775808"}) {
    std::int64_t value = 7;
    EXPECT_FALSE(parse_integer(text, value)) << text;
    EXPECT_EQ(value, 7) << text;
  }
}

TEST(ParseReal, TakesDecimals) {
  double value = 0;
  EXPECT_TRUE(parse_real("3e-4", value));
  EXPECT_EQ(value, 3e-4);
  EXPECT_TRUE(parse_real("-0.5", value));
  EXPECT_EQ(value, -0.5);
  EXPECT_TRUE(parse_real("7", value));
  EXPECT_EQ(value, 7);
}

TEST(ParseReal, RefusesTheRestAndLeavesTheValue) {
  for (const char* text :
       {"", " 1", "1 ", "1,5", "0x1p3", "nan", "inf", "-infinity", "1e999", "1e", "e5", "1.2.3"}) {
    double value = 7;
    EXPECT_FALSE(parse_real(text, value)) << text;
    EXPECT_EQ(value, 7) << text;
  }
}

TEST(Shortest, ReadsBackAsTheSameDouble) {
  EXPECT_EQ(shortest(0.1), "0.1");
  EXPECT_EQ(shortest(1e-15), "1e-15");
  EXPECT_EQ(shortest(3), "3");
  EXPECT_EQ(shortest(100000), "100000");
  for (const double value :
       {1.0 / 3, 2.2250738585072014e-308, 1.7976931348623157e308, -0.30000000000000004}) {
    double back = 0;
    ASSERT_TRUE(parse_real(shortest(value), back)) << shortest(value);
    EXPECT_EQ(back, value);
  }
}

TEST(Text, FixedHasNoNegativeZero) {
  EXPECT_EQ(fixed(0.95, 3), "0.950");
  EXPECT_EQ(fixed(-0.0005, 3), "-0.001");
  EXPECT_EQ(fixed(-10, 1), "-10.0");
  EXPECT_EQ(fixed(-0.0, 3), "0.000");
  EXPECT_EQ(fixed(-0.0004, 3), "0.000");
  EXPECT_EQ(fixed(-0.4, 0), "0");
}

TEST(Text, Grouped) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(417537012), "417,537,012");
  EXPECT_EQ(grouped(-999), "-999");
  EXPECT_EQ(grouped(-123456), "-123,456");
  EXPECT_EQ(grouped(std::numeric_limits<std::int64_t>::min()), "-9,223,372,036,854,775,808");
}

TEST(Text, Duration) {
  EXPECT_EQ(duration(0), "0s");
  EXPECT_EQ(duration(41.4), "41s");
  EXPECT_EQ(duration(59.6), "1m00s");
  EXPECT_EQ(duration(192), "3m12s");
  EXPECT_EQ(duration(7500), "2h05m");
  EXPECT_EQ(duration(-1), "0s");
  EXPECT_EQ(duration(std::nan("")), "?");
  EXPECT_EQ(duration(1e300), "?");
}

TEST(Text, Bytes) {
  EXPECT_EQ(bytes_text(512), "512 B");
  EXPECT_EQ(bytes_text(65536), "64.0 KiB");
  EXPECT_EQ(bytes_text(1610612736), "1.5 GiB");
  EXPECT_EQ(bytes_text(1048575), "1.0 MiB");  // never 1024.0 KiB
}

TEST(Utf8, AcceptsWellFormedText) {
  EXPECT_EQ(invalid_utf8("plain"), std::string_view::npos);
  EXPECT_EQ(invalid_utf8("α → 日 \U0001f600 \U0010ffff"), std::string_view::npos);
  EXPECT_EQ(code_points("α→b"), 3u);
}

TEST(Utf8, FindsTheFirstBadByte) {
  EXPECT_EQ(invalid_utf8("ab\xff"), 2u);
  EXPECT_EQ(invalid_utf8("ab\xc3"), 2u);            // cut off
  EXPECT_EQ(invalid_utf8("\x80"), 0u);              // continuation alone
  EXPECT_EQ(invalid_utf8("\xc0\xaf"), 0u);          // overlong
  EXPECT_EQ(invalid_utf8("\xe0\x80\xaf"), 0u);      // overlong
  EXPECT_EQ(invalid_utf8("\xf0\x80\x80\xaf"), 0u);  // overlong
  EXPECT_EQ(invalid_utf8("a\xed\xa0\x80"), 1u);     // surrogate
  EXPECT_EQ(invalid_utf8("\xf4\x90\x80\x80"), 0u);  // past U+10FFFF
  EXPECT_EQ(invalid_utf8("\xe2\x82z"), 0u);         // a letter where a continuation belongs
}

}  // namespace
}  // namespace mdnlab
