#include "store/sqlite.h"

#include <sqlite3.h>

#include <cmath>
#include <thread>

namespace mdnlab {
namespace {

[[noreturn]] void fail(sqlite3* database) {
  const char* file = sqlite3_db_filename(database, "main");
  fail_store(database, sqlite3_extended_errcode(database), file == nullptr ? "" : file);
}

void check_bound(sqlite3_stmt* statement, int result) {
  if (result != SQLITE_OK) fail(sqlite3_db_handle(statement));
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

bool Statement::step() {
  const int result = sqlite3_step(handle());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  fail(sqlite3_db_handle(handle()));
}

void Statement::reset() { sqlite3_reset(handle()); }

void Statement::bind(int parameter, std::int64_t value) {
  check_bound(handle(), sqlite3_bind_int64(handle(), parameter, value));
}

void Statement::bind(int parameter, double value) {
  if (!std::isfinite(value)) return bind_null(parameter);
  check_bound(handle(), sqlite3_bind_double(handle(), parameter, value));
}

void Statement::bind(int parameter, std::string_view value) {
  // A null pointer would bind null, and an empty view may hold one.
  const char* text = value.data() == nullptr ? "" : value.data();
  check_bound(handle(),
              sqlite3_bind_text64(handle(), parameter, text, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

void Statement::bind_null(int parameter) { check_bound(handle(), sqlite3_bind_null(handle(), parameter)); }

bool Statement::is_null(int column) const { return sqlite3_column_type(handle(), column) == SQLITE_NULL; }

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(handle(), column); }

double Statement::real(int column) const { return sqlite3_column_double(handle(), column); }

std::string Statement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle(), column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(handle(), column))};
}

std::optional<std::int64_t> Statement::integer_or_null(int column) const {
  if (is_null(column)) return std::nullopt;
  return integer(column);
}

std::optional<double> Statement::real_or_null(int column) const {
  if (is_null(column)) return std::nullopt;
  return real(column);
}

void Connection::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

Connection::Connection(const std::filesystem::path& file, Mode mode, std::chrono::milliseconds busy_timeout)
    : file_(file), patience_(new Patience{busy_timeout, {}}) {
  const bool writes = mode == Mode::write;
  const std::string uri = file_uri(file, writes               ? "mode=rwc"
                                         : mode == Mode::read ? "mode=ro"
                                                              : "mode=ro&immutable=1");
  const int access = writes ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
  sqlite3* database = nullptr;
  const int result = sqlite3_open_v2(uri.c_str(), &database, access | SQLITE_OPEN_URI, nullptr);
  database_.reset(database);
  if (result != SQLITE_OK) fail_store(database, result, file);
  sqlite3_extended_result_codes(database, 1);
  sqlite3_busy_handler(database, wait_for_turn, patience_.get());
  // SQLite quietly opens a protected file for reading instead.
  if (writes && sqlite3_db_readonly(database, "main") == 1) fail_store(database, SQLITE_READONLY, file);
}

// SQLite's own handler soon sleeps a tenth of a second between looks, and starves while others write without
// a pause. Looks cost time, too: many that never rest take it from the one who writes.
int Connection::wait_for_turn(void* patience, int attempt) {
  auto& [timeout, start] = *static_cast<Patience*>(patience);
  const auto now = std::chrono::steady_clock::now();
  if (attempt == 0) start = now;
  if (now - start > timeout) return 0;
  std::this_thread::sleep_for(std::chrono::microseconds(attempt < 8 ? 500 : 4000));
  return 1;
}

Statement Connection::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int result =
      sqlite3_prepare_v2(handle(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (result != SQLITE_OK) fail_store(handle(), sqlite3_extended_errcode(handle()), file_);
  return Statement(statement);
}

void Connection::script(std::string_view sql) {
  const int result = sqlite3_exec(handle(), std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) fail_store(handle(), sqlite3_extended_errcode(handle()), file_);
}

bool Connection::run_unless_busy(std::string_view sql) {
  const int result = sqlite3_exec(handle(), std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if ((result & 0xff) == SQLITE_BUSY) return false;
  if (result != SQLITE_OK) fail_store(handle(), sqlite3_extended_errcode(handle()), file_);
  return true;
}

std::int64_t Connection::changes() const { return sqlite3_changes64(handle()); }

bool Connection::in_transaction() const { return sqlite3_get_autocommit(handle()) == 0; }

// Immediate: a transaction that reads first and writes later can fail half-way when another process wrote
// between.
Transaction::Transaction(Connection& connection)
    : connection_(connection), inner_(connection.in_transaction()) {
  connection_.script(inner_ ? "savepoint inner_part" : "begin immediate");
}

void Transaction::commit() {
  connection_.script(inner_ ? "release inner_part" : "commit");
  open_ = false;
}

Transaction::~Transaction() {
  // After some failures SQLite has rolled everything back by itself; what these return changes nothing then.
  if (!open_ || !connection_.in_transaction()) return;
  const char* undo = inner_ ? "rollback to inner_part; release inner_part" : "rollback";
  sqlite3_exec(connection_.handle(), undo, nullptr, nullptr, nullptr);
}

std::string file_uri(const std::filesystem::path& file, std::string_view options) {
  static constexpr char hex[] = "0123456789abcdef";
  std::string uri = "file:";
  for (const char letter : std::filesystem::absolute(file).string()) {
    const auto byte = static_cast<unsigned char>(letter);
    if (letter == '?' || letter == '#' || letter == '%') {
      uri += {'%', hex[byte >> 4], hex[byte & 15]};
    } else {
      uri += letter;
    }
  }
  return uri.append("?").append(options);
}

}  // namespace mdnlab
