#include "base/error.h"

#include <gtest/gtest.h>

namespace mdnlab {
namespace {

TEST(Place, IsShortenedByWhatIsUnknown) {
  EXPECT_EQ((Place{"a.yaml", 3, 7}.text()), "a.yaml:3:7");
  EXPECT_EQ((Place{"a.yaml", 3}.text()), "a.yaml:3");
  EXPECT_EQ((Place{"a.yaml"}.text()), "a.yaml");
  EXPECT_EQ((Place{"", 3, 7}.text()), "line 3:7");
  EXPECT_EQ(Place{}.text(), "");
}

TEST(Error, SaysPlaceWhatFoundExpectedHint) {
  const Error error(Code::usage, {.place = {"a.yaml", 1, 2},
                                  .what = "train.lr is out of range",
                                  .found = "-1",
                                  .expected = "at least 0",
                                  .hint = "see the reference"});
  EXPECT_STREQ(error.what(),
               "a.yaml:1:2: train.lr is out of range; found -1, expected at least 0; see the reference");
  EXPECT_EQ(error.code(), Code::usage);
  EXPECT_EQ(error.text().found, "-1");
}

TEST(Error, LeavesOutWhatIsEmpty) {
  EXPECT_STREQ(Error(Code::failed, "it broke").what(), "it broke");
  EXPECT_STREQ(Error(Code::failed, {.what = "it broke", .expected = "peace"}).what(),
               "it broke; expected peace");
  EXPECT_STREQ(Error(Code::failed, {.what = "it broke", .hint = "mend it"}).what(), "it broke; mend it");
}

TEST(Error, CodesAreTheExitCodes) {
  EXPECT_EQ(static_cast<int>(Code::failed), 1);
  EXPECT_EQ(static_cast<int>(Code::usage), 2);
  EXPECT_EQ(static_cast<int>(Code::machine), 3);
  EXPECT_EQ(static_cast<int>(Code::store), 4);
  EXPECT_EQ(static_cast<int>(Code::interrupted), 130);
}

}  // namespace
}  // namespace mdnlab
