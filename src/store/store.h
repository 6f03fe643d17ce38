// The database file, opened and checked. Rows go in and out through runs.h, metrics.h, evaluations.h,
// askings.h, benches.h, facts.h and status.h; a user's SQL through query.h; other files through merge.h.
//
// Many processes of one host may have the same file open and write it at once: each function that writes is
// one transaction. A value belongs to one thread, and must not cross a fork.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "store/network.h"
#include "store/schema.h"
#include "store/sqlite.h"

namespace mdnlab {

struct StoreOptions {
  std::chrono::milliseconds busy_timeout{30'000};  // how long a writer waits for its turn
  std::span<const Migration> migrations = schema_migrations();
  std::function<std::string(const std::filesystem::path&)> network_name = network_file_system;
};

class Store {
 public:
  // For writing; makes the file (not its folder) when it is missing and brings an older one to the newest
  // version. Code::store when the file lies on a network file system, cannot be written, is locked, is
  // damaged, was written by a newer mdnlab or is not a database of mdnlab.
  static Store open(const std::filesystem::path& file, const StoreOptions& options = {});

  // For reading only, also from a network file system or a protected folder as far as that is safe: not while
  // a log lies beside the file there. An older version is brought up first, as by open(): wholly or not at
  // all. Where it cannot be written that is refused.
  static Store open_reading(const std::filesystem::path& file, const StoreOptions& options = {});

  Connection& sql() { return connection_; }
  const std::filesystem::path& file() const { return connection_.file(); }

 private:
  explicit Store(Connection connection) : connection_(std::move(connection)) {}
  Connection connection_;
};

// How a file may be read now; Code::store when it is missing or cannot be read safely where it lies.
Connection::Mode reading_mode(const std::filesystem::path& file, const StoreOptions& options);

}  // namespace mdnlab
