#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "../error_of.h"
#include "config/params.h"
#include "config/yaml.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

constexpr Field fields[] = {
    {.name = "steps",
     .type = Type::integer,
     .preset = "100",
     .doc = "optimizer steps",
     .least = 1,
     .most = 1e18},
    {.name = "lr", .type = Type::real, .preset = "3e-4", .doc = "peak learning rate", .least = 0, .most = 1},
    {.name = "betas", .type = Type::reals, .preset = "[0.9, 0.95]", .doc = "of AdamW", .least = 0, .most = 1},
    {.name = "lengths", .type = Type::integers, .preset = nullptr, .doc = "in tokens", .least = 1},
    {.name = "dtype",
     .type = Type::text,
     .preset = "f32",
     .doc = "of the weights",
     .choices = "f32|f64|bf16"},
    {.name = "tied", .type = Type::boolean, .preset = "true", .doc = "head and embedding are one"},
    {.name = "names", .type = Type::texts, .preset = "[]", .doc = "words"},
    {.name = "seed", .type = Type::integer, .preset = "0", .doc = "of everything"}};

Params read(const std::string& text) { return read_params(parse_yaml(text, "a.yaml"), "train", fields); }

std::string refusal(const std::string& text) {
  const Error error = error_of([&] { read(text); });
  EXPECT_EQ(error.code(), Code::usage);
  return error.what();
}

TEST(ReadParams, IntegersInTheirSpellings) {
  EXPECT_EQ(read("steps: 42").integer("steps"), 42);
  EXPECT_EQ(read("steps: 1_000_000").integer("steps"), 1000000);
  EXPECT_EQ(read("steps: 1e6").integer("steps"), 1000000);
  EXPECT_EQ(read("steps: 2.5e1").integer("steps"), 25);
  EXPECT_EQ(read("seed: -9223372036854775808").integer("seed"), std::numeric_limits<std::int64_t>::min());
}

TEST(ReadParams, WhatIsNoInteger) {
  for (const char* text :
       {"2.5", "1e-3", "abc", "1__0", "_1", "1_", "0x10", "1e30", "9223372036854775808", "true"}) {
    EXPECT_EQ(refusal("steps: " + std::string(text)), "a.yaml:1:8: train.steps has the wrong type; found '" +
                                                          std::string(text) + "', expected an integer");
  }
}

TEST(ReadParams, RealsAcceptIntegers) {
  EXPECT_EQ(read("lr: 1").real("lr"), 1.0);
  EXPECT_EQ(read("lr: 1e-3").real("lr"), 1e-3);
  EXPECT_EQ(read("lr: 0.5").real("lr"), 0.5);
  for (const char* text : {"nan", ".inf", "inf", "1e-3x", "1e999"}) {
    EXPECT_THAT(refusal("lr: " + std::string(text)), StartsWith("a.yaml:1:5: train.lr has the wrong type"))
        << text;
  }
}

TEST(ReadParams, AQuotedNumberIsText) {
  EXPECT_EQ(refusal("steps: '3'"),
            "a.yaml:1:8: train.steps has the wrong type; found the text '3', expected an integer; "
            "a number stands without quotes");
  EXPECT_EQ(read("dtype: 'f64'").text("dtype"), "f64");
}

TEST(ReadParams, BooleansAreTrueOrFalse) {
  EXPECT_FALSE(read("tied: false").boolean("tied"));
  for (const char* text : {"yes", "1", "True", "'true'"}) {
    EXPECT_THAT(refusal("tied: " + std::string(text)), testing::HasSubstr("expected true or false")) << text;
  }
}

TEST(ReadParams, Lists) {
  EXPECT_THAT(read("lengths: [1, 2e3]").integers("lengths"), ElementsAre(1, 2000));
  EXPECT_THAT(read("betas: [0, 1]").reals("betas"), ElementsAre(0.0, 1.0));
  EXPECT_THAT(read("names: [x, '1', 2]").texts("names"), ElementsAre("x", "1", "2"));
  EXPECT_TRUE(read("lengths: []").is_set("lengths"));
  EXPECT_EQ(refusal("lengths: 4"),
            "a.yaml:1:10: train.lengths has the wrong type; found '4', expected a list of integers");
  EXPECT_EQ(refusal("lengths:\n  - 4\n  - x\n"),
            "a.yaml:3:5: train.lengths has the wrong type; found 'x', expected an integer");
  EXPECT_EQ(refusal("lengths: [4, 0]"),
            "a.yaml:1:14: train.lengths is out of range; found 0, expected at least 1");
  EXPECT_EQ(refusal("names: [a, ~]"),
            "a.yaml:1:12: train.names has the wrong type; found null, expected a text");
}

TEST(ReadParams, RangesAreInclusive) {
  EXPECT_EQ(read("{lr: 0, steps: 1}").real("lr"), 0);
  EXPECT_EQ(read("lr: 1").real("lr"), 1);
  EXPECT_EQ(refusal("lr: -0.1"), "a.yaml:1:5: train.lr is out of range; found -0.1, expected 0 to 1");
  EXPECT_EQ(refusal("steps: 0"), "a.yaml:1:8: train.steps is out of range; found 0, expected 1 to 1e+18");
}

TEST(ReadParams, ChoicesNameTheNearest) {
  EXPECT_EQ(read("dtype: bf16").text("dtype"), "bf16");
  EXPECT_EQ(refusal("dtype: bf61"),
            "a.yaml:1:8: train.dtype has an unknown value; found 'bf61', "
            "expected one of f32, f64, bf16; did you mean 'bf16'?");
  EXPECT_EQ(
      refusal("dtype: quadruple"),
      "a.yaml:1:8: train.dtype has an unknown value; found 'quadruple', expected one of f32, f64, bf16");
}

TEST(ReadParams, UnknownKeysNameTheNearest) {
  EXPECT_EQ(refusal("lr: 1\nstpes: 3\n"), "a.yaml:2:1: unknown key 'train.stpes'; did you mean 'steps'?");
  EXPECT_EQ(refusal("colour: 3"),
            "a.yaml:1:1: unknown key 'train.colour'; "
            "one of: steps, lr, betas, lengths, dtype, tied, names, seed");
  EXPECT_STREQ(error_of([] { read_params(parse_yaml("ste: 1", "a.yaml"), "", fields); }).what(),
               "a.yaml:1:1: unknown key 'ste'; did you mean 'steps'?");
}

TEST(ReadParams, KeysOfOthersArePassedOver) {
  const std::vector<std::string> others = {"name", "options"};
  const Node map = parse_yaml("{name: [anything], steps: 2}", "a.yaml");
  const Params params = read_params(map, "rule", fields, others);
  EXPECT_EQ(params.integer("steps"), 2);
  EXPECT_THROW(params.text("name"), std::logic_error);
  EXPECT_STREQ(error_of([&] { read_params(parse_yaml("nmae: 1", "a.yaml"), "rule", fields, others); }).what(),
               "a.yaml:1:1: unknown key 'rule.nmae'; did you mean 'name'?");
}

TEST(ReadParams, ANullLeavesTheDefault) {
  const Params params = read("steps: ~\nlengths:\n");
  EXPECT_EQ(params.integer("steps"), 100);
  EXPECT_FALSE(params.is_set("lengths"));
}

TEST(ReadParams, AnEmptySectionIsAllDefaults) {
  const Node root = parse_yaml("train:\n", "a.yaml");
  EXPECT_EQ(read_params(*root.find("train"), "train", fields).integer("steps"), 100);
}

TEST(ReadParams, ASectionIsAMap) {
  EXPECT_EQ(refusal("[1]"), "a.yaml:1:1: train has the wrong type; found a list, expected a map of options");
  EXPECT_EQ(refusal("word"), "a.yaml:1:1: train has the wrong type; found 'word', expected a map of options");
  EXPECT_EQ(refusal("steps: {a: 1}"),
            "a.yaml:1:8: train.steps has the wrong type; found a map, expected an integer");
}

TEST(ReadParams, RequiredFieldsMustBeGiven) {
  constexpr Field required[] = {
      {.name = "path", .type = Type::text, .preset = Field::required, .doc = "A file of text."}};
  EXPECT_STREQ(error_of([&] { read_params(parse_yaml("\n{}", "a.yaml"), "data", required); }).what(),
               "a.yaml:2:1: data.path is required; A file of text.");
  EXPECT_STREQ(error_of([&] { read_params(parse_yaml("path: ~", "a.yaml"), "data", required); }).what(),
               "a.yaml:1:7: data.path is required; A file of text.");
  EXPECT_STREQ(error_of([&] { default_params("data", required); }).what(),
               "data.path is required; A file of text.");
  EXPECT_EQ(read_params(parse_yaml("path: x", "a.yaml"), "data", required).text("path"), "x");
}

TEST(DefaultParams, AreThoseOfAnEmptySection) {
  EXPECT_EQ(default_params("train", fields).json(), read("{}").json());
}

TEST(DefaultParams, ATableThatBreaksItsOwnRulesIsAFault) {
  constexpr Field out_of_range[] = {
      {.name = "n", .type = Type::integer, .preset = "0", .doc = "n", .least = 1}};
  constexpr Field wrong_type[] = {{.name = "n", .type = Type::integer, .preset = "x", .doc = "n"}};
  constexpr Field no_choice[] = {
      {.name = "n", .type = Type::text, .preset = "x", .doc = "n", .choices = "a|b"}};
  EXPECT_THROW(default_params("t", out_of_range), std::logic_error);
  EXPECT_THROW(default_params("t", wrong_type), std::logic_error);
  EXPECT_THROW(default_params("t", no_choice), std::logic_error);
}

}  // namespace
}  // namespace mdnlab
