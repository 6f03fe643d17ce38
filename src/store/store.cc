#include "store/store.h"

#include <fcntl.h>
#include <unistd.h>

#include <system_error>
#include <thread>
#include <utility>

#include "base/error.h"

namespace mdnlab {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds retry_pause{5};

// Switching to the log needs the file alone, and SQLite does not wait for that by itself.
void use_write_ahead_log(Connection& connection, std::chrono::milliseconds busy_timeout) {
  const auto mode = [&] {
    Statement statement = connection.query("pragma journal_mode");
    statement.step();
    return statement.text(0);
  };
  const auto deadline = std::chrono::steady_clock::now() + busy_timeout;
  while (mode() != "wal") {
    if (connection.run_unless_busy("pragma journal_mode = wal")) continue;
    if (std::chrono::steady_clock::now() > deadline) {
      connection.script("pragma journal_mode = wal");  // throws that the database is locked
    }
    std::this_thread::sleep_for(retry_pause);
  }
}

fs::path beside(const fs::path& file, const char* ending) {
  std::error_code ignored;
  return fs::weakly_canonical(file, ignored).string() + ending;
}

bool can_write(const fs::path& file) { return faccessat(AT_FDCWD, file.c_str(), W_OK, AT_EACCESS) == 0; }

}  // namespace

Store Store::open(const fs::path& file, const StoreOptions& options) {
  if (const std::string network = options.network_name(file); !network.empty()) {
    throw Error(Code::store,
                {.place = {.file = file.string()},
                 .what = "a database on a network file system would lose data",
                 .found = network,
                 .expected = "a local disk",
                 .hint = "write to a local file (--db), then join the files with `mdnlab merge`"});
  }
  Connection connection(file, Connection::Mode::write, options.busy_timeout);
  schema_version(connection, options.migrations);  // before anything of another program's file is changed
  use_write_ahead_log(connection, options.busy_timeout);
  // Full: after a power cut a checkpoint of the weights must not be newer than its rows.
  connection.script("pragma synchronous = full");
  migrate(connection, options.migrations);
  connection.script("pragma foreign_keys = on");
  return Store(std::move(connection));
}

Connection::Mode reading_mode(const fs::path& file, const StoreOptions& options) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) {
    throw Error(Code::store, {.place = {.file = file.string()},
                              .what = "there is no database here",
                              .hint = "`mdnlab run FILE.yaml` makes one; --db names another"});
  }
  const fs::path log = beside(file, "-wal");
  const bool has_log = fs::exists(log, ignored) && fs::file_size(log, ignored) > 0;
  if (const std::string network = options.network_name(file); !network.empty()) {
    if (!has_log) return Connection::Mode::frozen;
    throw Error(
        Code::store,
        {.place = {.file = file.string()},
         .what = "the database is in use, or was left in use, on a network file system",
         .found = network + " with a log beside the file (" + log.filename().string() + ")",
         .hint =
             "end its writer, or copy the file together with that log to a local disk and read the copy"});
  }
  const bool in_use = has_log || fs::exists(beside(file, "-shm"), ignored);
  return in_use || can_write(beside(file, "").parent_path()) ? Connection::Mode::read
                                                             : Connection::Mode::frozen;
}

Store Store::open_reading(const fs::path& file, const StoreOptions& options) {
  {
    const Connection::Mode mode = reading_mode(file, options);
    Connection connection(file, mode, options.busy_timeout);
    const int version = schema_version(connection, options.migrations);
    const int newest = options.migrations.back().version;
    if (version == 0) {
      throw Error(Code::store, {.place = {.file = file.string()},
                                .what = "the file is empty",
                                .expected = "a database of mdnlab",
                                .hint = "name another file with --db"});
    }
    if (version == newest) return Store(std::move(connection));
    if (mode == Connection::Mode::frozen || !can_write(file)) {
      throw Error(Code::store,
                  {.place = {.file = file.string()},
                   .what = "an older mdnlab wrote the database, and it cannot be brought up to date here",
                   .found = "version " + std::to_string(version),
                   .expected = "version " + std::to_string(newest),
                   .hint = "copy it to where it can be written, and name the copy with --db"});
    }
  }
  open(file, options);  // the only connection, so that its log goes with it
  return Store(Connection(file, reading_mode(file, options), options.busy_timeout));
}

}  // namespace mdnlab
