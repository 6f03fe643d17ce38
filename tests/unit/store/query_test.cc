#include "store/query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "../error_of.h"
#include "../temporary_folder.h"
#include "base/error.h"
#include "base/file.h"
#include "database.h"
#include "store/metrics.h"

namespace mdnlab {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;

class Queries : public testing::Test {
 protected:
  const TemporaryFolder folder;
  const fs::path file = folder / "a.db";

  void SetUp() override {
    Store store = Store::open(file);
    const std::int64_t run = ended_run(store, plan_of("k1"));
    add_metrics(store, run, std::vector<Metric>{{1, "train/loss", 0.1}, {2, "train/loss", std::nan("")}});
  }

  Error refused(const std::string& sql) {
    const std::string before = contents(file);
    const Error error = error_of([&] { query(file, sql); });
    EXPECT_EQ(contents(file), before) << sql;
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(folder.path())) files.push_back(entry.path().filename());
    EXPECT_THAT(files, testing::Each(testing::StartsWith("a.db"))) << sql << " made a file";
    return error;
  }
};

TEST_F(Queries, GiveTypedCells) {
  const Table table =
      query(file,
            "select step, value, name, x'00fF' as bytes, null as absent, 9e999 as big, step as step,"
            " 1e300 * step as large from metric order by step; -- done\n ;");
  std::vector<std::string> names;
  std::vector<bool> numbers;
  for (const Table::Column& column : table.columns) {
    names.push_back(column.name);
    numbers.push_back(column.number);
  }
  EXPECT_THAT(names, ElementsAre("step", "value", "name", "bytes", "absent", "big", "step:1", "large"));
  EXPECT_THAT(numbers, ElementsAre(true, true, false, false, true, true, true, true));
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_THAT(table.rows[0], ElementsAre("1", "0.1", "train/loss", "00ff", "", "", "1", "1e+300"));
  EXPECT_EQ(table.rows[1][1], "") << "not finite";
  const auto json = nlohmann::json::parse(table.text(TableFormat::json));
  EXPECT_EQ(json[0]["value"], 0.1);
  EXPECT_TRUE(json[1]["value"].is_null());
  EXPECT_EQ(query(file, "select 9223372036854775807").rows[0][0], "9223372036854775807");
  EXPECT_TRUE(query(file, "select * from run where 0").rows.empty());
}

TEST_F(Queries, MayDescribeTablesAndUseWhatReads) {
  for (const std::string sql :
       {"pragma table_info(metric)", "select * from pragma_table_info('run')",
        "select sql from sqlite_master", "pragma user_version", "explain query plan select * from run",
        "values (1), (2)",
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 5) select sum(i) from n",
        "select json_extract(config_json, '$.rule.name'), sqrt(2), row_number() over () from run",
        "select value from json_each('[1, 2]')"}) {
    SCOPED_TRACE(sql);
    EXPECT_FALSE(query(file, sql).rows.empty());
  }
}

TEST_F(Queries, CannotWriteOrReachOutside) {
  const std::string outside = (folder / "outside.db").string();
  for (const std::string& sql :
       std::vector<std::string>{"attach '" + outside + "' as x",
                                "attach database 'file:" + outside + "?mode=rwc' as x",
                                "attach ':memory:' as x",
                                "detach main",
                                "vacuum",
                                "vacuum into '" + outside + "'",
                                "insert into run (key) values ('x')",
                                "with x as (select 1) insert into sweep select id, 'x' from run",
                                "with x as (select 1) delete from metric",
                                "update run set state = 'done' returning id",
                                "replace into sweep values (1, 'x')",
                                "delete from run",
                                "drop table run",
                                "alter table run rename to walk",
                                "create table t (x)",
                                "create temp table t (x)",
                                "create temp view v as select 1",
                                "create virtual table temp.t using fts5(x)",
                                "create trigger t after insert on run begin select 1; end",
                                "create index i on run (name)",
                                "reindex",
                                "analyze",
                                "begin",
                                "begin immediate",
                                "commit",
                                "savepoint s",
                                "pragma writable_schema = on",
                                "pragma writable_schema",
                                "pragma journal_mode = delete",
                                "pragma query_only = off",
                                "pragma user_version = 7",
                                "pragma user_version(7)",
                                "pragma application_id = 7",
                                "pragma foreign_keys = off",
                                "pragma temp_store_directory = '/tmp'",
                                "pragma wal_checkpoint(truncate)",
                                "pragma optimize",
                                "pragma main.locking_mode = exclusive",
                                "select load_extension('" + outside + "')",
                                "select Load_Extension('x', 'y')",
                                "select fts3_tokenizer('simple')",
                                "select fts3_tokenizer('x', x'0011223344556677')",
                                "explain attach '" + outside + "' as x"}) {
    const Error error = refused(sql);
    EXPECT_EQ(error.code(), Code::usage) << sql << " → " << error.what();
    EXPECT_THAT(error.what(), HasSubstr("a query only reads; found a statement that does more")) << sql;
  }
  // Newer versions of SQLite refuse these in words of their own.
  for (const char* sql : {"select * from pragma_user_version(7)", "select * from pragma_journal_mode('delete')"}) {
    const Error error = refused(sql);
    EXPECT_EQ(error.code(), Code::usage) << sql << " → " << error.what();
    EXPECT_THAT(error.what(), AnyOf(HasSubstr("a query only reads"), HasSubstr("pragma_"))) << sql;
  }
  for (const std::string& sql : std::vector<std::string>{
           "select writefile('" + outside + "', 'x')", "select readfile('/etc/passwd')", "select edit('x')",
           "select * from fsdir('/')", "select * from zipfile('x')"}) {
    const Error error = refused(sql);
    EXPECT_EQ(error.code(), Code::usage) << sql;
    EXPECT_THAT(error.what(), HasSubstr("no such")) << sql;
  }
}

TEST_F(Queries, AreOneStatement) {
  for (const std::string sql :
       {"select 1; select 2", "select 1; drop table run", "select 1;; ;drop table run",
        "select 1; attach 'x' as y", "select 1; nonsense", "select 1; -- c\n select 2"}) {
    const Error error = refused(sql);
    EXPECT_EQ(error.code(), Code::usage);
    EXPECT_THAT(error.what(), HasSubstr("the query has more than one statement")) << sql;
  }
  for (const std::string sql : {"", "  ", ";", "-- only a comment"}) {
    EXPECT_THAT(refused(sql).what(), HasSubstr("the query is empty")) << sql;
  }
}

TEST_F(Queries, MistakesHaveAPlace) {
  const Error unknown = refused("select key,\n  nmae from run");
  EXPECT_EQ(unknown.code(), Code::usage);
  EXPECT_THAT(unknown.what(), HasSubstr("query:2:3: no such column: nmae"));
  EXPECT_THAT(refused("selct 1").what(), HasSubstr("query:1:1: near \"selct\": syntax error"));
  EXPECT_THAT(refused("select 'open").what(), HasSubstr("unrecognized token"));
  EXPECT_THAT(refused("select json_extract('{', '$')").what(), HasSubstr("malformed JSON"));
  EXPECT_THAT(refused("select abs(-9223372036854775808)").what(), HasSubstr("integer overflow"));
}

TEST_F(Queries, EndAtTheirLimits) {
  const std::string endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select ";
  const auto start = std::chrono::steady_clock::now();
  const Error slow = error_of([&] { query(file, endless + "sum(i) from n", {.time = 100ms}); });
  EXPECT_EQ(slow.code(), Code::usage);
  EXPECT_THAT(slow.what(), HasSubstr("took too long"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);

  EXPECT_THAT(error_of([&] { query(file, endless + "i from n", {.rows = 1000}); }).what(),
              HasSubstr("too many rows; found more than 1,000"));
  EXPECT_EQ(query(file, endless + "i from n limit 1000", {.rows = 1000}).rows.size(), 1000u);
  EXPECT_THAT(
      error_of([&] { query(file, endless + "i from n order by i", {.memory_bytes = 8 << 20}); }).what(),
      HasSubstr("too much memory; found more than 8.0 MiB"));
  EXPECT_EQ(sqlite3_hard_heap_limit64(-1), 0) << "the limit is the query's alone";
  EXPECT_THAT(error_of([&] { query(file, "select zeroblob(100000000)"); }).what(), HasSubstr("too large"));

  int asked = 0;
  const Error stopped =
      error_of([&] { query(file, endless + "sum(i) from n", {.stop = [&] { return ++asked == 3; }}); });
  EXPECT_EQ(stopped.code(), Code::interrupted);
  EXPECT_EQ(asked, 3);
}

TEST_F(Queries, ReadBesideAWriter) {
  Store writer = Store::open(file);
  const Transaction held(writer.sql());
  ensure_run(writer, plan_of("k2"));
  EXPECT_EQ(query(file, "select count(*) from run").rows[0][0], "1");
}

TEST_F(Queries, NeedADatabase) {
  EXPECT_EQ(error_of([&] { query(folder / "none.db", "select 1"); }).code(), Code::store);
  write_file(folder / "noise.db", std::string(4096, 'x'));
  EXPECT_EQ(error_of([&] { query(folder / "noise.db", "select 1"); }).code(), Code::store);
}

}  // namespace
}  // namespace mdnlab
