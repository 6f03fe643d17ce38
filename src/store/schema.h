// Which tables a database has: a version in `pragma user_version`, and the steps from each version to the
// next.
#pragma once

#include <span>
#include <string_view>

#include "store/sqlite.h"

namespace mdnlab {

// `sql` brings a database of version - 1 to `version`. A list counts 1, 2, 3, … without gaps.
struct Migration {
  int version;
  std::string_view sql;
};

// Version 1 is schema.sql. A later version is one more row here; the rows before it stay as they are.
std::span<const Migration> schema_migrations();

// The version of `connection`'s database: 0 for an empty one. Code::store, naming both versions, when it is
// newer than the last of `migrations`; Code::store when the file is a database of another program.
int schema_version(Connection& connection, std::span<const Migration> migrations);

// Brings the database to the last version in one transaction; several processes may do so at once.
void migrate(Connection& connection, std::span<const Migration> migrations);

}  // namespace mdnlab
