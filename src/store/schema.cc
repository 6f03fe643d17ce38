#include "store/schema.h"

#include <string>

#include "base/error.h"
#include "store/embedded.h"

namespace mdnlab {
namespace {

// `pragma application_id` of our files: "mdnl" in ASCII.
constexpr std::int64_t application_id = 0x6d646e6c;

}  // namespace

std::span<const Migration> schema_migrations() {
  static constexpr Migration steps[] = {{1, embedded::schema_sql},   {2, embedded::schema_2_sql},
                                        {3, embedded::schema_3_sql}, {4, embedded::schema_4_sql},
                                        {5, embedded::schema_5_sql}, {6, embedded::schema_6_sql}};
  return steps;
}

int schema_version(Connection& connection, std::span<const Migration> migrations) {
  // Another process may be creating the file just now. It commits tables, version and id at once, and in this
  // order whoever sees one of them sees the id after it.
  const bool has_tables = connection.integer("select count(*) from sqlite_master") > 0;
  const auto version = static_cast<int>(connection.integer("pragma user_version"));
  const bool ours = connection.integer("pragma application_id") == application_id;
  if (!ours && (has_tables || version != 0)) {
    throw Error(Code::store, {.place = {.file = connection.file().string()},
                              .what = "the database belongs to another program",
                              .expected = "a database of mdnlab",
                              .hint = "name another file with --db"});
  }
  const int newest = migrations.back().version;
  if (version > newest) {
    throw Error(Code::store, {.place = {.file = connection.file().string()},
                              .what = "a newer mdnlab wrote the database",
                              .found = "version " + std::to_string(version),
                              .expected = "version " + std::to_string(newest) + " or older",
                              .hint = "use that newer mdnlab, or name another file with --db"});
  }
  return version;
}

void migrate(Connection& connection, std::span<const Migration> migrations) {
  const int newest = migrations.back().version;
  if (schema_version(connection, migrations) == newest) return;
  // A step may rebuild a table that others refer to. The pragma does nothing inside a transaction.
  connection.script("pragma foreign_keys = off");
  Transaction transaction(connection);
  const int version = schema_version(connection, migrations);  // again: another process may have been first
  for (const Migration& migration : migrations) {
    if (migration.version > version) connection.script(migration.sql);
  }
  if (connection.query("pragma foreign_key_check").step()) {
    throw Error(Code::store,
                {.place = {.file = connection.file().string()},
                 .what = "the database has rows that refer to missing rows; it was left as it was"});
  }
  connection.script("pragma application_id = " + std::to_string(application_id));
  connection.script("pragma user_version = " + std::to_string(newest));
  transaction.commit();
}

}  // namespace mdnlab
