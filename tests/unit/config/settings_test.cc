#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../error_of.h"
#include "config/params.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;
using Words = std::vector<std::string>;

constexpr Field fields[] = {
    {.name = "pairs", .type = Type::integers, .preset = "[4]", .doc = "pairs of a sequence", .least = 1},
    {.name = "count", .type = Type::integer, .preset = "10", .doc = "sequences", .least = 1},
    {.name = "prompt", .type = Type::text, .preset = "hello", .doc = "first text"},
    {.name = "greedy", .type = Type::boolean, .preset = "false", .doc = "take the likeliest token"}};

Params read(const Words& words) { return read_settings(words, "eval", fields); }

std::string refusal(const Words& words) {
  const Error error = error_of([&] { read(words); });
  EXPECT_EQ(error.code(), Code::usage);
  return error.what();
}

TEST(Settings, AreTypedByTheTable) {
  const Params params = read({"count=1e3", "greedy=true", "prompt=[a: 'b' = c] #"});
  EXPECT_EQ(params.integer("count"), 1000);
  EXPECT_TRUE(params.boolean("greedy"));
  EXPECT_EQ(params.text("prompt"), "[a: 'b' = c] #");
  EXPECT_THAT(params.integers("pairs"), ElementsAre(4));
}

TEST(Settings, ListsWithAndWithoutBrackets) {
  EXPECT_THAT(read({"pairs=4, 8"}).integers("pairs"), ElementsAre(4, 8));
  EXPECT_THAT(read({"pairs=[ 4,8 ]"}).integers("pairs"), ElementsAre(4, 8));
  EXPECT_THAT(read({"pairs=16"}).integers("pairs"), ElementsAre(16));
  EXPECT_THAT(read({"pairs=[]"}).integers("pairs"), ElementsAre());
}

TEST(Settings, EmptyAndNull) {
  EXPECT_EQ(read({"prompt="}).text("prompt"), "");
  EXPECT_EQ(read({"prompt=null"}).text("prompt"), "null");
  EXPECT_EQ(read({"count=null"}).integer("count"), 10);
  EXPECT_EQ(refusal({"count="}),
            "--set count=: eval.count has the wrong type; found '', expected an integer");
}

TEST(Settings, ErrorsNameTheWord) {
  EXPECT_EQ(refusal({"count=0"}), "--set count=0: eval.count is out of range; found 0, expected at least 1");
  EXPECT_EQ(refusal({"pairs=4,,8"}),
            "--set pairs=4,,8: eval.pairs has the wrong type; found '', expected an integer");
  EXPECT_EQ(refusal({"cuont=3"}), "--set cuont=3: unknown key 'eval.cuont'; did you mean 'count'?");
  EXPECT_EQ(refusal({"count"}), "--set count: this is no setting; expected key=value");
  EXPECT_EQ(refusal({"=3"}), "--set =3: this is no setting; expected key=value");
  EXPECT_EQ(refusal({"count=1", "count=2"}), "--set count=2: key 'count' is set twice");
}

}  // namespace
}  // namespace mdnlab
