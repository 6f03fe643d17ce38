// A user's SQL: one statement that reads, and nothing else.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/table.h"

namespace mdnlab {

struct QueryLimits {
  std::chrono::milliseconds time{60'000};
  std::int64_t rows = 1'000'000;
  std::int64_t memory_bytes = std::int64_t{2} << 30;  // of SQLite, in the whole process meanwhile
  std::function<bool()> stop;                         // asked often; true ends the query (Ctrl-C)
};

// The rows of one statement. A column without any text cell is a number column; null and numbers that are not
// finite are empty cells; a blob is its bytes in hex; a name that comes twice gets `:1`, `:2`, … behind it.
//
// The file is opened for reading and the statement runs under an authorizer that knows reading only: no
// ATTACH or DETACH, no transaction, no extension, no pragma but those that describe tables.
//
// Code::usage: not one statement, a mistake in it (with its line and column), more than reading, a limit
// passed. Code::interrupted: stopped. Code::store: as Store::open_reading.
Table query(const std::filesystem::path& database, std::string_view sql, const QueryLimits& limits = {});

}  // namespace mdnlab
