#include "base/table.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace mdnlab {
namespace {

Table scores() {
  return {{{"rule"}, {"loss", true}, {"note"}},
          {{"mdn", "1.25", "a, \"b\""}, {"attention", "", "x|y\nz"}, {"λ", "10", ""}}};
}

TEST(Table, PlainIsAligned) {
  EXPECT_EQ(scores().text(TableFormat::plain),
            "rule       loss  note\n"
            "mdn        1.25  a, \"b\"\n"
            "attention        x|y z\n"
            "λ            10\n");
}

TEST(Table, MarkdownEscapesPipes) {
  EXPECT_EQ(scores().text(TableFormat::markdown),
            "| rule      | loss | note   |\n"
            "| --------- | ---: | ------ |\n"
            "| mdn       | 1.25 | a, \"b\" |\n"
            "| attention |      | x\\|y z |\n"
            "| λ         |   10 |        |\n");
}

TEST(Table, CsvQuotesWhatNeedsIt) {
  EXPECT_EQ(scores().text(TableFormat::csv),
            "rule,loss,note\n"
            "mdn,1.25,\"a, \"\"b\"\"\"\n"
            "attention,,\"x|y\nz\"\n"
            "λ,10,\n");
}

TEST(Table, JsonKeepsNumbersAndNulls) {
  const std::string text = scores().text(TableFormat::json);
  const auto parsed = nlohmann::json::parse(text);
  EXPECT_EQ(parsed, nlohmann::json::parse(R"([{"rule": "mdn", "loss": 1.25, "note": "a, \"b\""},
                                              {"rule": "attention", "loss": null, "note": "x|y\nz"},
                                              {"rule": "λ", "loss": 10, "note": ""}])"));
  EXPECT_EQ(text.substr(0, 21), "[\n  {\"rule\": \"mdn\", \"");
  EXPECT_EQ(text.back(), '\n');
}

TEST(Table, JsonIsValidWhateverStandsInANumberColumn) {
  const Table table{{{"n", true}}, {{"nan"}, {"1,234"}, {"-"}, {"true"}, {"01"}, {"-1e-5"}, {"\xff"}}};
  EXPECT_EQ(nlohmann::json::parse(table.text(TableFormat::json)),
            nlohmann::json::parse(R"([{"n":"nan"},{"n":"1,234"},{"n":"-"},{"n":"true"},{"n":"01"},{"n":-1e-5},
                                      {"n":"\ufffd"}])"));
}

TEST(Table, WithoutRows) {
  const Table table{{{"a"}, {"b", true}}, {}};
  EXPECT_EQ(table.text(TableFormat::plain), "a  b\n");
  EXPECT_EQ(table.text(TableFormat::markdown), "| a   |   b |\n| --- | --: |\n");
  EXPECT_EQ(table.text(TableFormat::csv), "a,b\n");
  EXPECT_EQ(table.text(TableFormat::json), "[]\n");
}

TEST(Table, ARowOfAnotherWidthIsTheCallersFault) {
  const Table table{{{"a"}, {"b"}}, {{"only one"}}};
  EXPECT_THROW(table.text(TableFormat::plain), std::logic_error);
}

}  // namespace
}  // namespace mdnlab
