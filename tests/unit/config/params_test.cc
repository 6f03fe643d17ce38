#include "config/params.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "config/yaml.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;

constexpr Field fields[] = {
    {.name = "steps", .type = Type::integer, .preset = "100", .doc = "optimizer steps", .least = 1},
    {.name = "lr", .type = Type::real, .preset = "3e-4", .doc = "peak learning rate", .least = 0, .most = 1},
    {.name = "betas", .type = Type::reals, .preset = "[0.9, 0.95]", .doc = "of AdamW"},
    {.name = "lengths", .type = Type::integers, .preset = "[]", .doc = "in tokens", .least = 1},
    {.name = "dtype", .type = Type::text, .preset = "f32", .doc = "of the weights", .choices = "f32|bf16"},
    {.name = "tied", .type = Type::boolean, .preset = "true", .doc = "head and embedding are one"},
    {.name = "names", .type = Type::texts, .preset = "[a, b c]", .doc = "words"},
    {.name = "floor", .type = Type::real, .preset = nullptr, .doc = "unset: no floor", .most = 0},
    {.name = "prefix", .type = Type::text, .preset = "", .doc = "may be a|b"},
    {.name = "path", .type = Type::text, .preset = Field::required, .doc = "a file of text"}};

Params read(const std::string& text) { return read_params(parse_yaml(text, "a.yaml"), "train", fields); }

TEST(Params, DefaultsComeFromTheTable) {
  const Params params = read("path: x");
  EXPECT_EQ(params.integer("steps"), 100);
  EXPECT_EQ(params.real("lr"), 3e-4);
  EXPECT_THAT(params.reals("betas"), ElementsAre(0.9, 0.95));
  EXPECT_THAT(params.integers("lengths"), ElementsAre());
  EXPECT_EQ(params.text("dtype"), "f32");
  EXPECT_TRUE(params.boolean("tied"));
  EXPECT_THAT(params.texts("names"), ElementsAre("a", "b c"));
  EXPECT_FALSE(params.is_set("floor"));
  EXPECT_EQ(params.text("prefix"), "");
  EXPECT_EQ(params.text("path"), "x");
}

TEST(Params, JsonHasTheTablesOrderAndNoUnsetField) {
  EXPECT_EQ(read("{path: 'é\"', lr: 1, steps: 1e3}").json(),
            R"({"steps":1000,"lr":1.0,"betas":[0.9,0.95],"lengths":[],"dtype":"f32","tied":true,)"
            R"("names":["a","b c"],"prefix":"","path":"é\""})");
  EXPECT_EQ(Params().json(), "{}");
}

TEST(Params, OneMeaningHasOneJson) {
  EXPECT_EQ(read("{steps: 1000, lr: 0.10, path: x}").json(),
            read("{path: x, lr: 1e-1, steps: 1_000}").json());
}

TEST(Params, ReadingWhatIsNotThereIsTheCallersFault) {
  const Params params = read("path: x");
  EXPECT_THROW(params.integer("stpes"), std::logic_error);
  EXPECT_THROW(params.integer("lr"), std::logic_error);
  EXPECT_THROW(params.real("floor"), std::logic_error);
  EXPECT_THROW(params.texts("betas"), std::logic_error);
  EXPECT_THROW(Params().set("steps", Value(std::int64_t{1})), std::logic_error);
}

TEST(Params, SetDerivesAValue) {
  Params params = read("path: x");
  params.set("floor", Value(-2.0));
  EXPECT_EQ(params.real("floor"), -2);
  EXPECT_EQ(params.value("floor"), Value(-2.0));
}

TEST(Params, PlacesAreOfTheValueOrTheSection) {
  const Params params = read("\npath: x\nsteps: 3\n");
  EXPECT_EQ(params.place().text(), "a.yaml:2:1");
  EXPECT_EQ(params.place("steps").text(), "a.yaml:3:8");
  EXPECT_EQ(params.place("lr").text(), "a.yaml:2:1");
}

TEST(Params, ErrorStandsAtTheValueAndNamesIt) {
  const Params params = read("path: x\nsteps: 3\n");
  const Error error = params.error("steps", "train.steps does not divide", "a multiple of 4", "try 4");
  EXPECT_EQ(error.code(), Code::usage);
  EXPECT_STREQ(error.what(),
               "a.yaml:2:8: train.steps does not divide; found 3, expected a multiple of 4; try 4");
  EXPECT_STREQ(params.error("floor", "it is needed here").what(), "a.yaml:1:1: it is needed here");
}

TEST(FieldReference, IsAMarkdownTable) {
  const std::string text = field_reference(fields);
  EXPECT_THAT(text, testing::StartsWith("| name "));
  EXPECT_THAT(text, testing::ContainsRegex(
                        R"(\| `steps` +\| integer +\| `100` +\| at least 1 +\| optimizer steps +\|)"));
  EXPECT_THAT(text, testing::ContainsRegex(R"(\| `lr` +\| real +\| `3e-4` +\| 0 to 1 +\|)"));
  EXPECT_THAT(text, testing::ContainsRegex(R"(\| `betas` +\| list of reals +\| `\[0.9, 0.95\]` +\| +\|)"));
  EXPECT_THAT(text, testing::ContainsRegex(R"(\| `dtype` +\| text +\| `f32` +\| f32, bf16 +\|)"));
  EXPECT_THAT(text, testing::ContainsRegex(R"(\| `floor` +\| real +\| unset +\| at most 0 +\|)"));
  EXPECT_THAT(text, testing::ContainsRegex(R"(\| `prefix` +\| text +\| empty +\| +\| may be a\\\|b +\|)"));
  EXPECT_THAT(text, testing::ContainsRegex(R"(\| `path` +\| text +\| required +\|)"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), static_cast<long>(std::size(fields)) + 2);
}

}  // namespace
}  // namespace mdnlab
