#include "config/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../error_of.h"
#include "../temporary_folder.h"
#include "base/file.h"

namespace mdnlab {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

Error refusal(const std::string& text) {
  const Error error = error_of([&] { parse_yaml(text, "a.yaml"); });
  EXPECT_EQ(error.code(), Code::usage);
  return error;
}

TEST(Yaml, KeepsPlacesKindsAndOrder) {
  const Node root = parse_yaml("# a comment\nb: {x: 1}\na:\n  - ~\n  - 'q'\n  - [p, \"r\"]\n", "a.yaml");
  ASSERT_EQ(root.kind, Node::Kind::map);
  EXPECT_EQ(root.place.text(), "a.yaml:2:1");
  ASSERT_EQ(root.entries.size(), 2u);
  EXPECT_EQ(root.entries[0].key, "b");
  EXPECT_EQ(root.entries[0].place.text(), "a.yaml:2:1");
  EXPECT_EQ(root.entries[0].value.find("x")->place.text(), "a.yaml:2:8");
  EXPECT_EQ(root.entries[1].key, "a");
  const Node& list = root.entries[1].value;
  ASSERT_EQ(list.kind, Node::Kind::list);
  ASSERT_EQ(list.items.size(), 3u);
  EXPECT_EQ(list.items[0].kind, Node::Kind::null);
  EXPECT_EQ(list.items[0].place.text(), "a.yaml:4:5");
  EXPECT_EQ(list.items[1].scalar, "q");
  EXPECT_TRUE(list.items[1].is_quoted);
  EXPECT_FALSE(list.items[2].items[0].is_quoted);
  EXPECT_TRUE(list.items[2].items[1].is_quoted);
  EXPECT_EQ(list.items[2].place.text(), "a.yaml:6:5");
}

TEST(Yaml, ScalarsStayText) {
  const Node root = parse_yaml("a: 1_000\nb: 0x10\nc: yes\nd: 3:1\ne: |\n  two\n  lines\n", "a.yaml");
  EXPECT_EQ(root.find("a")->scalar, "1_000");
  EXPECT_EQ(root.find("b")->scalar, "0x10");
  EXPECT_EQ(root.find("c")->scalar, "yes");
  EXPECT_EQ(root.find("d")->scalar, "3:1");
  EXPECT_EQ(root.find("e")->scalar, "two\nlines\n");
  EXPECT_TRUE(root.find("e")->is_quoted);
}

TEST(Yaml, ANullIsWrittenInSeveralWays) {
  const Node root = parse_yaml("a:\nb: ~\nc: null\nd: 'null'\ne: ''\n", "a.yaml");
  for (const char* key : {"a", "b", "c"}) EXPECT_EQ(root.find(key)->kind, Node::Kind::null) << key;
  for (const char* key : {"d", "e"}) EXPECT_EQ(root.find(key)->kind, Node::Kind::scalar) << key;
}

TEST(Yaml, ReadsWindowsFilesAndMarks) {
  const Node root = parse_yaml(
      "\xef\xbb\xbf"
      "a: 1\r\nb: 2\r\n",
      "a.yaml");
  EXPECT_EQ(root.find("a")->scalar, "1");
  EXPECT_EQ(root.find("b")->place.text(), "a.yaml:2:4");
}

TEST(Yaml, SyntaxErrorsHaveTheirPlace) {
  EXPECT_THAT(refusal("a: 1\nb: [1, 2\n").what(), StartsWith("a.yaml:3:1: YAML syntax: "));
  EXPECT_THAT(refusal("a: 1\n b: 2\n").what(), StartsWith("a.yaml:2:"));
  EXPECT_THAT(refusal("a: 1\n\tb: 2\n").what(), StartsWith("a.yaml:2:"));
}

TEST(Yaml, AQuoteMustBeClosed) {
  EXPECT_STREQ(refusal("a: 'open\n").what(), "a.yaml:1:4: the quote is never closed");
  EXPECT_STREQ(refusal("a: 'it''s\n").what(), "a.yaml:1:4: the quote is never closed");
  EXPECT_STREQ(refusal("a: 1\nb: \"open \\\"\n").what(), "a.yaml:2:4: the quote is never closed");
  EXPECT_EQ(parse_yaml("a: 'it''s'\n", "a.yaml").find("a")->scalar, "it's");
  EXPECT_EQ(parse_yaml("a: \"\\\\\"\n", "a.yaml").find("a")->scalar, "\\");
  EXPECT_EQ(parse_yaml("a: 'two\n  lines'\n", "a.yaml").find("a")->scalar, "two lines");
}

TEST(Yaml, DuplicateKeysNameBothPlaces) {
  EXPECT_STREQ(refusal("train:\n  lr: 1\n  steps: 2\n  'lr': 3\n").what(),
               "a.yaml:4:3: duplicate key 'lr'; it stands already at a.yaml:2:3");
  EXPECT_STREQ(refusal("{a: 1, a: 2}").what(),
               "a.yaml:1:8: duplicate key 'a'; it stands already at a.yaml:1:2");
  EXPECT_NO_THROW(parse_yaml("a: {x: 1}\nb: {x: 1}\n", "a.yaml"));
}

TEST(Yaml, RefusesAnchorsAliasesAndTags) {
  EXPECT_THAT(refusal("a: &x 1\nb: *x\n").what(), StartsWith("a.yaml:1:4: anchor &x; anchors are refused"));
  EXPECT_THAT(refusal("a: &x\n  b: 1\n").what(), StartsWith("a.yaml:1:4: anchor &x"));
  EXPECT_THAT(refusal("a: *x\n").what(), StartsWith("a.yaml:1:4: "));
  EXPECT_THAT(refusal("a: !!int 1\n").what(),
              StartsWith("a.yaml:1:4: tag tag:yaml.org,2002:int; tags are refused"));
  EXPECT_THAT(refusal("a: !mine [1]\n").what(), StartsWith("a.yaml:1:4: tag !mine"));
  EXPECT_THAT(refusal("a: !mine {b: 1}\n").what(), StartsWith("a.yaml:1:4: tag !mine"));
  EXPECT_THAT(refusal("é: 1\na: ! 1\n").what(), StartsWith("a.yaml:2:4: tag !;"));
}

TEST(Yaml, KeysAreScalars) {
  for (const char* text :
       {"[1, 2]: 3\n", "{a: 1}: 2\n", "? [1]\n: 2\n", "? {a: 1}\n: 2\n", ": 1\n", "~: 1\n"}) {
    EXPECT_THAT(refusal(text).what(), HasSubstr("a key must be a scalar")) << text;
  }
}

TEST(Yaml, OneDocumentThatIsNotEmpty) {
  EXPECT_THAT(refusal("a: 1\n---\nb: 2\n").what(), HasSubstr("a second document"));
  for (const char* text : {"", "   \n", "# only a comment\n", "---\n", "~\n"}) {
    EXPECT_STREQ(refusal(text).what(), "a.yaml: the document is empty") << text;
  }
  EXPECT_NO_THROW(parse_yaml("---\na: 1\n...\n", "a.yaml"));
}

TEST(Yaml, NestingEndsAt64) {
  const auto nested = [](int depth) { return std::string(depth, '[') + "1" + std::string(depth, ']'); };
  EXPECT_NO_THROW(parse_yaml(nested(64), "a.yaml"));
  EXPECT_STREQ(refusal(nested(65)).what(), "a.yaml:1:65: nesting is deeper than 64 levels");
  EXPECT_THAT(refusal(nested(200000)).what(), HasSubstr("nesting is deeper than 64 levels"));
  std::string maps, pairs;
  for (int i = 0; i < 50000; ++i) maps += "{a: ", pairs += "? ";
  EXPECT_EQ(refusal(maps).code(), Code::usage);
  EXPECT_EQ(refusal(pairs).code(), Code::usage);
}

TEST(Yaml, RefusesBytesThatAreNoText) {
  EXPECT_STREQ(refusal("a: 1\nbc: \xff\n").what(), "a.yaml:2:5: the text is not UTF-8");
  EXPECT_STREQ(refusal(std::string("a: \0", 4)).what(), "a.yaml:1:4: a control character");
  EXPECT_STREQ(refusal("a: 1\n\x04 b: 2").what(), "a.yaml:2:1: a control character");
  EXPECT_EQ(parse_yaml("a: α→日\n", "a.yaml").find("a")->scalar, "α→日");
}

TEST(Yaml, AHundredThousandKeysAreNoSquare) {
  std::string text;
  for (int i = 0; i < 100000; ++i) text += "k" + std::to_string(i) + ": 1\n";
  EXPECT_EQ(parse_yaml(text, "a.yaml").entries.size(), 100000u);
}

TEST(Yaml, ReadsFiles) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "b.yaml";
  write_file(path, "a: 1\na: 2\n");
  EXPECT_THAT(error_of([&] { parse_yaml_file(path); }).what(),
              StartsWith(path.string() + ":2:1: duplicate key 'a'"));
  EXPECT_THAT(error_of([&] { parse_yaml_file(folder.path() / "no.yaml"); }).what(),
              HasSubstr("No such file"));
}

}  // namespace
}  // namespace mdnlab
