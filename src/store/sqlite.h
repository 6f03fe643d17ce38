// SQLite as values: a connection, a statement, a transaction. Values reach SQL by binding only.
// Every failure is an Error of Code::store that names the file, the cause and the cure.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace mdnlab {

// A prepared statement. It must not outlive a Transaction that it reads in.
class Statement {
 public:
  bool step();   // true: on a row; false: at the end
  void reset();  // bind and step again

  // Parameters count from 1. A value that is not finite is bound as null.
  void bind(int parameter, std::int64_t value);
  void bind(int parameter, double value);
  void bind(int parameter, std::string_view value);  // copied
  void bind_null(int parameter);

  template <class T>
  void bind_value(int parameter, const T& value) {
    if constexpr (std::integral<T>) {
      bind(parameter, static_cast<std::int64_t>(value));
    } else if constexpr (std::floating_point<T>) {
      bind(parameter, static_cast<double>(value));
    } else {
      bind(parameter, std::string_view(value));
    }
  }
  template <class T>
  void bind_value(int parameter, const std::optional<T>& value) {
    value ? bind_value(parameter, *value) : bind_null(parameter);
  }
  template <class... Values>
  void bind_all(const Values&... values) {
    int parameter = 0;
    (bind_value(++parameter, values), ...);
  }

  // Columns count from 0; null reads as 0, 0.0 and "".
  bool is_null(int column) const;
  std::int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;
  std::optional<std::int64_t> integer_or_null(int column) const;
  std::optional<double> real_or_null(int column) const;

  sqlite3_stmt* handle() const { return statement_.get(); }

 private:
  friend class Connection;
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Connection {
 public:
  enum class Mode {
    write,   // created when missing; a file that can only be read is refused
    read,    // beside writers; needs a folder where SQLite may keep its index of the log
    frozen,  // no locks, no log: for a file that nobody writes meanwhile
  };

  Connection(const std::filesystem::path& file, Mode mode, std::chrono::milliseconds busy_timeout);

  const std::filesystem::path& file() const { return file_; }

  // Prepared and bound, not yet stepped.
  template <class... Values>
  Statement query(std::string_view sql, const Values&... values) {
    Statement statement = prepare(sql);
    statement.bind_all(values...);
    return statement;
  }

  // Runs one statement to its end; the number of rows it changed.
  template <class... Values>
  std::int64_t run(std::string_view sql, const Values&... values) {
    Statement statement = query(sql, values...);
    while (statement.step()) {
    }
    return changes();
  }

  // The same for the first column of the first row; 0 without one.
  template <class... Values>
  std::int64_t integer(std::string_view sql, const Values&... values) {
    Statement statement = query(sql, values...);
    if (!statement.step()) return 0;
    const std::int64_t result = statement.integer(0);
    while (statement.step()) {
    }
    return result;
  }

  void script(std::string_view sql);           // several statements, no parameters
  bool run_unless_busy(std::string_view sql);  // false: another connection is in the way
  std::int64_t changes() const;                // rows of the newest statement that changed any
  bool in_transaction() const;

  sqlite3* handle() const { return database_.get(); }

 private:
  Statement prepare(std::string_view sql);

  struct Patience {
    std::chrono::milliseconds timeout;
    std::chrono::steady_clock::time_point start;
  };
  static int wait_for_turn(void* patience, int attempt);

  struct Close {
    void operator()(sqlite3* database) const;
  };
  std::filesystem::path file_;
  std::unique_ptr<Patience> patience_;  // SQLite keeps its address
  std::unique_ptr<sqlite3, Close> database_;
};

// `begin immediate` … commit; rolled back unless committed. Inside another Transaction it is a savepoint: its
// own failure undoes its own part, and only the outer commit makes it lasting.
class Transaction {
 public:
  explicit Transaction(Connection& connection);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();

  void commit();

 private:
  Connection& connection_;
  bool inner_;
  bool open_ = true;
};

// A URI that SQLite opens as exactly this file, whatever characters the path holds. options: "mode=ro", …
std::string file_uri(const std::filesystem::path& file, std::string_view options);

// Throws what SQLite's `result` means for the user. `database` may be null (not opened).
[[noreturn]] void fail_store(sqlite3* database, int result, const std::filesystem::path& file);

}  // namespace mdnlab
