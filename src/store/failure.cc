#include <sqlite3.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "store/sqlite.h"

namespace mdnlab {
namespace {

std::string folder_of(const std::filesystem::path& file) {
  const auto folder = file.parent_path();
  return folder.empty() ? "." : folder.string();
}

}  // namespace

void fail_store(sqlite3* database, int result, const std::filesystem::path& file) {
  const int system_error = database == nullptr ? 0 : sqlite3_system_errno(database);
  const std::string detail = database == nullptr ? sqlite3_errstr(result) : sqlite3_errmsg(database);
  const bool no_space = system_error == ENOSPC || system_error == EDQUOT;
  ErrorText text{.place = {.file = file.string()}};

  const int kind = result & 0xff;
  if (kind == SQLITE_FULL || (no_space && (kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN))) {
    text.what = "the disk is full";
    text.hint = "free some space in " + folder_of(file) + " and run again: all that was committed is kept";
  } else if (kind == SQLITE_BUSY || kind == SQLITE_LOCKED) {
    text.what = "the database is locked by another program";
    text.hint = "wait until it is done, or end it: `fuser -v " + file.string() + "` names it";
  } else if (kind == SQLITE_NOTADB) {
    text.what = "the file is not a database";
    text.expected = "a database of mdnlab";
    text.hint = "name another file with --db";
  } else if (kind == SQLITE_CORRUPT) {
    text.what = "the database is damaged";
    text.found = detail;
    text.hint = "what is readable comes out with `sqlite3 FILE .recover`";
  } else if (kind == SQLITE_READONLY || kind == SQLITE_PERM) {
    text.what = "the database cannot be written";
    text.found = "a file or a folder that only allows reading";
    text.hint = "give yourself the right to write " + folder_of(file) + ", or name another file with --db";
  } else if (kind == SQLITE_CANTOPEN) {
    text.what = "the database cannot be opened";
    text.found = system_error == 0 ? detail : std::strerror(system_error);
    text.hint = "check the path and the rights of " + folder_of(file);
  } else if (kind == SQLITE_IOERR) {
    text.what = "reading or writing the database failed";
    text.found = system_error == 0 ? detail : std::strerror(system_error);
  } else {
    text.what = "the database refused a statement";
    text.found = detail;
  }
  throw Error(Code::store, std::move(text));
}

}  // namespace mdnlab
