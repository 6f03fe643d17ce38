// Commands upon a database: what may be asked, and what is refused of a database that is not theirs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "../unit/temporary_folder.h"
#include "markdown.h"
#include "process.h"

namespace mdnlab {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

// A database with one run in it, made once.
class OneRun : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    std::ofstream(*folder_ / "one.yaml")
        << "schema: 1\nrule: mdn\nmodel: {hidden_size: 8, num_hidden_layers: 1, num_heads: 1}\n"
           "task: {name: mqar, vocabulary: 16, pairs: 1, test_examples: 10}\ntrain: {batch_size: 2, seq_len: "
           "8, steps: 3}\n";
    const Finished run = mdnlab({"run", "one.yaml"});
    if (run.code != 0) throw std::runtime_error(run.err);
  }
  static void TearDownTestSuite() { delete folder_; }

  static Finished mdnlab(const std::vector<std::string>& words) {
    return run_mdnlab(words, {.folder = folder_->path()});
  }
  static fs::path file() { return *folder_ / "mdnlab.db"; }

  static TemporaryFolder* folder_;
};

TemporaryFolder* OneRun::folder_ = nullptr;

void execute(const fs::path& file, const std::string& sql) {
  sqlite3* connection = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &connection), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(connection, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sqlite3_errmsg(connection);
  sqlite3_close(connection);
}

TEST_F(OneRun, IsDoneOnceAndSaysSo) {
  const Finished again = mdnlab({"run", "one.yaml"});
  EXPECT_EQ(again.code, 0);
  EXPECT_THAT(again.err, HasSubstr("1 done before, 0 done now, 0 failed"));
  const Finished status = mdnlab({"status", "--json"});
  const auto runs = nlohmann::json::parse(status.out)["runs"];
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0]["state"], "done");
  EXPECT_EQ(runs[0]["step"], 3);
  EXPECT_EQ(runs[0]["error"], nullptr);
  EXPECT_EQ(nlohmann::json::parse(mdnlab({"plan", "one.yaml", "--json"}).out)["runs"][0]["state"], "done");
}

TEST_F(OneRun, AnswersQueriesInFourForms) {
  const std::string sql =
      "select name, value from metric where step = 3 and name like 'train/l%e' order by name";
  EXPECT_EQ(mdnlab({"query", "select rule, step from run", "--csv"}).out, "rule,step\nmdn,3\n");
  EXPECT_EQ(nlohmann::json::parse(mdnlab({"query", "select rule, step from run", "--json"}).out),
            nlohmann::json::parse(R"([{"rule": "mdn", "step": 3}])"));
  EXPECT_EQ(mdnlab({"query", "select rule, step from run"}).out, "rule  step\nmdn      3\n");
  EXPECT_THAT(mdnlab({"query", sql, "--csv"}).out, testing::StartsWith("name,value\ntrain/learning_rate,"));
  const std::string list = mdnlab({"query", "--list"}).out;
  for (const char* named : {"leaderboard", "loss_curve", "retrieval", "failures"}) {
    const Finished answer = mdnlab({"query", named, "--csv"});
    EXPECT_EQ(answer.code, 0) << named << ": " << answer.err;
    EXPECT_THAT(list, HasSubstr(named));
  }
}

TEST_F(OneRun, AHostileQueryIsRefusedAndChangesNothing) {
  const std::string before = read_text(file());
  for (const char* sql :
       {"delete from run", "attach 'other.db' as other", "vacuum into 'copy.db'", "select 1; delete from run",
        "pragma user_version = 9", "select load_extension('x.so')",
        "with x as (select 1) insert into run default values", "select * from rum"}) {
    const Finished query = mdnlab({"query", sql});
    EXPECT_EQ(query.code, 2) << sql << ": " << query.out;
    EXPECT_EQ(query.out, "") << sql;
    EXPECT_THAT(query.err, testing::StartsWith("mdnlab: ")) << sql;
  }
  EXPECT_EQ(read_text(file()), before);
  for (const char* made : {"other.db", "copy.db"}) EXPECT_FALSE(fs::exists(*folder_ / made)) << made;
}

TEST_F(OneRun, ADatabaseThatIsNotThereIsNotMadeByReading) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"status"}, {"query", "leaderboard"}, {"query", "select 1"}, {"report"}}) {
    std::vector<std::string> elsewhere = words;
    elsewhere.insert(elsewhere.end(), {"--db", "none.db"});
    const Finished asked = mdnlab(elsewhere);
    EXPECT_EQ(asked.code, 4) << words[0];
    EXPECT_EQ(
        asked.err,
        "mdnlab: none.db: there is no database here; `mdnlab run FILE.yaml` makes one; --db names another\n");
    EXPECT_FALSE(fs::exists(*folder_ / "none.db"));
  }
}

TEST_F(OneRun, ADatabaseOfANewerProgramIsRefusedUntouched) {
  const fs::path newer = *folder_ / "newer.db";
  fs::copy_file(file(), newer);
  execute(newer, "pragma user_version = 4321");
  const std::string before = read_text(newer);
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"status"}, {"query", "select 1"}, {"report"}, {"run", "one.yaml"}}) {
    std::vector<std::string> there = words;
    there.insert(there.end(), {"--db", "newer.db"});
    const Finished asked = mdnlab(there);
    EXPECT_EQ(asked.code, 4) << words[0];
    EXPECT_THAT(asked.err,
                AllOf(testing::StartsWith("mdnlab: newer.db"), HasSubstr("4321"), HasSubstr("newer")))
        << words[0];
  }
  EXPECT_EQ(read_text(newer), before);
}

TEST_F(OneRun, WhatIsNoDatabaseIsRefusedUntouched) {
  std::ofstream(*folder_ / "text.db") << std::string(5000, 'x');
  for (const char* command : {"status", "report"}) {
    const Finished asked = mdnlab({command, "--db", "text.db"});
    EXPECT_EQ(asked.code, 4);
    EXPECT_THAT(asked.err, HasSubstr("text.db: the file is not a database"));
  }
  EXPECT_EQ(mdnlab({"run", "one.yaml", "--db", "text.db"}).code, 4);
  EXPECT_EQ(read_text(*folder_ / "text.db"), std::string(5000, 'x'));
}

TEST_F(OneRun, TheDatabaseIsNamedByOptionVariableOrPlace) {
  const ProcessOptions elsewhere{.folder = "/", .environment = {{"MDNLAB_DB", file().string()}}};
  EXPECT_EQ(run_mdnlab({"status"}, elsewhere).code, 0);
  EXPECT_EQ(run_mdnlab({"status", "--db", "/none.db"}, elsewhere).code, 4)
      << "the option wins over the variable";
}

TEST_F(OneRun, AMergeAddsItOnce) {
  EXPECT_THAT(mdnlab({"merge", "all.db", "mdnlab.db"}).out,
              HasSubstr("mdnlab.db: 1 runs added, 0 replaced, 0 kept"));
  EXPECT_THAT(mdnlab({"merge", "all.db", "mdnlab.db"}).out, HasSubstr("0 runs added, 0 replaced, 1 kept"));
  EXPECT_EQ(mdnlab({"report", "--db", "all.db", "--csv"}).out, mdnlab({"report", "--csv"}).out);
}

TEST_F(OneRun, TheReportIsATableAPageMarkdownOrCsv) {
  EXPECT_THAT(mdnlab({"report"}).out, testing::StartsWith("| rule"));
  for (const char* file : {"report.html", "report.md", "tables/"}) {
    const Finished written = mdnlab({"report", "-o", file});
    EXPECT_EQ(written.code, 0) << written.err;
    EXPECT_EQ(written.out, "");
  }
  EXPECT_THAT(read_text(*folder_ / "report.html"),
              AllOf(testing::StartsWith("<!DOCTYPE html>"), HasSubstr("Leaderboard")));
  EXPECT_THAT(read_text(*folder_ / "report.md"),
              AllOf(testing::StartsWith("# Report of mdnlab.db\n"), HasSubstr("## Leaderboard")));
  EXPECT_THAT(read_text(*folder_ / "tables/leaderboard_1.csv"), testing::StartsWith("rule,options,"));
  ASSERT_EQ(mdnlab({"report", "-o", "table.csv"}).code, 0);
  EXPECT_EQ(read_text(*folder_ / "table.csv"), mdnlab({"report", "--csv"}).out);
}

}  // namespace
}  // namespace mdnlab
