#include "store/authorizer.h"

#include <sqlite3.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace mdnlab {
namespace {

// Those that describe tables. `pragma user_version` could also set it, so it is here only without a value.
constexpr std::string_view reading_pragmas[] = {"table_info", "table_xinfo", "table_list",      "index_list",
                                                "index_info", "index_xinfo", "foreign_key_list"};
constexpr std::string_view reading_pragmas_without_value[] = {"user_version", "application_id"};

// Both reach into the process; SQLite keeps them off by default in some builds only.
constexpr std::string_view unsafe_functions[] = {"load_extension", "fts3_tokenizer"};

bool contains(const auto& words, std::string_view word) {
  return std::ranges::any_of(
      words, [&](std::string_view candidate) { return sqlite3_stricmp(candidate.data(), word.data()) == 0; });
}

bool is_reading(int action, const char* first, const char* second) {
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE: return true;
    case SQLITE_FUNCTION: return second != nullptr && !contains(unsafe_functions, second);
    case SQLITE_PRAGMA:
      return first != nullptr && (contains(reading_pragmas, first) ||
                                  (second == nullptr && contains(reading_pragmas_without_value, first)));
    default: return false;
  }
}

int authorize(void* denied, int action, const char* first, const char* second, const char*, const char*) {
  if (is_reading(action, first, second)) return SQLITE_OK;
  *static_cast<bool*>(denied) = true;
  return SQLITE_DENY;
}

// A table-valued function enters the schema when it is first named, which an authorizer sees as a write.
// These do so before there is one; no other can be used.
void introduce_table_functions(sqlite3* database) {
  sqlite3_exec(database, "select 1 from json_each('[]'), json_tree('[]')", nullptr, nullptr, nullptr);
  for (const std::string_view pragma : reading_pragmas) {
    const std::string sql = "select 1 from pragma_" + std::string(pragma) + "('')";
    sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr);
  }
}

}  // namespace

void allow_reading_only(sqlite3* database, bool& denied) {
  sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0, nullptr);
  sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_limit(database, SQLITE_LIMIT_ATTACHED, 0);
  // A cell is held whole in memory; no result of ours comes near this.
  sqlite3_limit(database, SQLITE_LIMIT_LENGTH, 64 << 20);
  introduce_table_functions(database);
  sqlite3_set_authorizer(database, authorize, &denied);
}

}  // namespace mdnlab
