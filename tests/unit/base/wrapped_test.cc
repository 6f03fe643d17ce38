#include "base/wrapped.h"

#include <gtest/gtest.h>

namespace mdnlab {
namespace {

TEST(Wrapped, BreaksLongLinesAtSpacesAndKeepsTheirIndent) {
  EXPECT_EQ(wrapped("one two three", 13), "one two three");
  EXPECT_EQ(wrapped("one two three", 12), "one two\nthree");
  EXPECT_EQ(wrapped("  one two three", 9), "  one two\n  three");
  EXPECT_EQ(wrapped("α ∘ β γ", 5), "α ∘ β\nγ") << "characters, not bytes";
}

TEST(Wrapped, LeavesOtherLinesAsTheyAre) {
  EXPECT_EQ(wrapped("a   b\n\nlong line\n", 8), "a   b\n\nlong\nline\n");
  EXPECT_EQ(wrapped("", 5), "");
}

TEST(Wrapped, LetsAWordThatIsTooLongStandAlone) {
  EXPECT_EQ(wrapped("a safetensors b", 6), "a\nsafetensors\nb");
}

}  // namespace
}  // namespace mdnlab
