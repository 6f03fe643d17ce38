#include "store/query.h"

#include <sqlite3.h>

#include <cmath>
#include <map>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "store/authorizer.h"
#include "store/store.h"

namespace mdnlab {
namespace {

constexpr int operations_between_checks = 10'000;  // well below a millisecond

struct Watch {
  std::chrono::steady_clock::time_point deadline;
  const std::function<bool()>& stop;
  bool stopped = false;

  bool must_end() {
    stopped = stopped || (stop && stop());
    return stopped || std::chrono::steady_clock::now() > deadline;
  }
};

class HeapLimit {
 public:
  explicit HeapLimit(std::int64_t bytes) : before_(sqlite3_hard_heap_limit64(bytes)) {}
  HeapLimit(const HeapLimit&) = delete;
  HeapLimit& operator=(const HeapLimit&) = delete;
  ~HeapLimit() { sqlite3_hard_heap_limit64(before_); }

 private:
  std::int64_t before_;
};

Error mistake(std::string what, std::string found = {}, std::string hint = {}) {
  return Error(Code::usage, {.place = {.file = "query"},
                             .what = std::move(what),
                             .found = std::move(found),
                             .expected = {},
                             .hint = std::move(hint)});
}

Place place_in(std::string_view sql, int offset) {
  Place place{.file = "query", .line = 1, .column = 1};
  for (const char letter : sql.substr(0, static_cast<std::size_t>(offset))) {
    place.line += letter == '\n';
    place.column = letter == '\n' ? 1 : place.column + 1;
  }
  return place;
}

// One run of a user's SQL on its own connection.
class Query {
 public:
  Query(const std::filesystem::path& database, std::string_view sql, const QueryLimits& limits)
      : store_(Store::open_reading(database)),
        sql_(sql),
        limits_(limits),
        heap_(limits.memory_bytes),
        watch_{std::chrono::steady_clock::now() + limits.time, limits.stop} {
    store_.sql().script("pragma query_only = on; pragma temp_store = memory");
    allow_reading_only(handle(), denied_);
    sqlite3_progress_handler(
        handle(), operations_between_checks,
        [](void* watch) { return static_cast<int>(static_cast<Watch*>(watch)->must_end()); }, &watch_);
  }

  Table table() {
    const char* rest = nullptr;
    const Prepared statement = compile(sql_.c_str(), &rest);
    if (!statement) throw mistake("the query is empty", {}, "give a SELECT or the name of a query");
    if (!is_blank(rest))
      throw mistake("the query has more than one statement", {}, "ask one after the other");
    if (sqlite3_stmt_readonly(statement.get()) == 0) throw not_reading();
    return read(statement.get());
  }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  using Prepared = std::unique_ptr<sqlite3_stmt, Finalize>;

  sqlite3* handle() { return store_.sql().handle(); }

  Prepared compile(const char* sql, const char** rest) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(handle(), sql, -1, &statement, rest) != SQLITE_OK) fail();
    return Prepared(statement);
  }

  // Whether nothing but comments and semicolons follows.
  bool is_blank(const char* sql) {
    while (*sql != '\0') {
      sqlite3_stmt* statement = nullptr;
      const int result = sqlite3_prepare_v2(handle(), sql, -1, &statement, &sql);
      const Prepared owner(statement);
      if (result != SQLITE_OK || statement != nullptr) return false;
    }
    return true;
  }

  static Error not_reading() {
    return mistake("a query only reads", "a statement that does more",
                   "rows are written by `mdnlab run` and `merge`");
  }

  [[noreturn]] void fail() {
    const int result = sqlite3_extended_errcode(handle());
    if (denied_) throw not_reading();
    switch (result & 0xff) {
      case SQLITE_INTERRUPT:
        if (watch_.stopped) throw Error(Code::interrupted, "the query was interrupted");
        throw mistake("the query took too long",
                      "more than " + duration(1e-3 * static_cast<double>(limits_.time.count())));
      case SQLITE_NOMEM:
        throw mistake("the query needs too much memory", "more than " + bytes_text(limits_.memory_bytes));
      case SQLITE_TOOBIG: throw mistake("a value in the query is too large");
      case SQLITE_ERROR:
      case SQLITE_RANGE:
      case SQLITE_MISMATCH: {
        const int offset = sqlite3_error_offset(handle());
        throw Error(Code::usage, {.place = offset < 0 ? Place{.file = "query"} : place_in(sql_, offset),
                                  .what = sqlite3_errmsg(handle()),
                                  .found = {},
                                  .expected = {},
                                  .hint = "`select sql from sqlite_master` shows the tables"});
      }
      default: fail_store(handle(), result, store_.file());
    }
  }

  static std::vector<Table::Column> columns(sqlite3_stmt* statement) {
    std::vector<Table::Column> result;
    std::map<std::string, int> seen;
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      std::string name = sqlite3_column_name(statement, i);
      if (const int before = seen[name]++; before > 0) name += ":" + std::to_string(before);
      result.push_back({.name = std::move(name), .number = true});
    }
    return result;
  }

  static std::string cell(sqlite3_stmt* statement, int column, bool& number) {
    const auto bytes = [&](const void* data) {
      return std::string_view(static_cast<const char*>(data),
                              static_cast<std::size_t>(sqlite3_column_bytes(statement, column)));
    };
    switch (sqlite3_column_type(statement, column)) {
      case SQLITE_NULL: return "";
      case SQLITE_INTEGER: return std::to_string(sqlite3_column_int64(statement, column));
      case SQLITE_FLOAT: {
        const double value = sqlite3_column_double(statement, column);
        return std::isfinite(value) ? shortest(value) : "";
      }
      case SQLITE_TEXT: number = false; return std::string(bytes(sqlite3_column_text(statement, column)));
      default: {
        number = false;
        static constexpr char hex[] = "0123456789abcdef";
        std::string text;
        for (const char byte : bytes(sqlite3_column_blob(statement, column))) {
          text += {hex[(byte >> 4) & 15], hex[byte & 15]};
        }
        return text;
      }
    }
  }

  Table read(sqlite3_stmt* statement) {
    Table table{.columns = columns(statement), .rows = {}};
    int result = SQLITE_ROW;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
      if (static_cast<std::int64_t>(table.rows.size()) == limits_.rows) {
        throw mistake("the query has too many rows", "more than " + grouped(limits_.rows), "add a LIMIT");
      }
      std::vector<std::string>& row = table.rows.emplace_back(table.columns.size());
      for (std::size_t i = 0; i < row.size(); ++i) {
        row[i] = cell(statement, static_cast<int>(i), table.columns[i].number);
      }
    }
    if (result != SQLITE_DONE) fail();
    return table;
  }

  bool denied_ = false;  // before the connection: it is told here
  Store store_;
  const std::string sql_;
  const QueryLimits& limits_;
  HeapLimit heap_;
  Watch watch_;
};

}  // namespace

Table query(const std::filesystem::path& database, std::string_view sql, const QueryLimits& limits) {
  return Query(database, sql, limits).table();
}

}  // namespace mdnlab
