#include "config/value.h"

#include <gtest/gtest.h>

namespace mdnlab {
namespace {

TEST(Value, JsonOfEachType) {
  EXPECT_EQ(json_text(Value()), "null");
  EXPECT_EQ(json_text(Value(true)), "true");
  EXPECT_EQ(json_text(Value(std::int64_t{-3})), "-3");
  EXPECT_EQ(json_text(Value(0.1)), "0.1");
  EXPECT_EQ(json_text(Value("a \"b\"\n")), R"("a \"b\"\n")");
  EXPECT_EQ(json_text(Value(Values{Value(std::int64_t{1}), Value("x"), Value(Values{})})), R"([1,"x",[]])");
}

TEST(Value, ARealNeverLooksLikeAnInteger) {
  EXPECT_EQ(json_text(Value(3.0)), "3.0");
  EXPECT_NE(json_text(Value(3.0)), json_text(Value(std::int64_t{3})));
}

TEST(Value, EqualValuesHaveEqualJson) {
  EXPECT_EQ(Value(-0.0), Value(0.0));
  EXPECT_EQ(json_text(Value(-0.0)), json_text(Value(0.0)));
}

TEST(Value, BytesThatAreNoUtf8StillPrint) { EXPECT_EQ(json_text(Value("\xff")), "\"\xef\xbf\xbd\""); }

TEST(Value, KnowsWhetherItIsSet) {
  EXPECT_FALSE(Value().is_set());
  EXPECT_TRUE(Value(false).is_set());
  EXPECT_TRUE(Value(Values{}).is_set());
}

TEST(Value, ComparesByContent) {
  EXPECT_EQ(Value(Values{Value("a")}), Value(Values{Value("a")}));
  EXPECT_NE(Value(Values{Value("a")}), Value(Values{Value("b")}));
}

}  // namespace
}  // namespace mdnlab
