#include "store/merge.h"

#include <system_error>

#include "base/error.h"
#include "store/embedded.h"
#include "store/runs.h"

namespace mdnlab {
namespace {

namespace fs = std::filesystem;

// A database attached as `source`, for reading.
class Attached {
 public:
  Attached(Connection& connection, const fs::path& file, Connection::Mode mode) : connection_(connection) {
    connection_.run("attach ? as source",
                    file_uri(file, mode == Connection::Mode::frozen ? "mode=ro&immutable=1" : "mode=ro"));
  }
  Attached(const Attached&) = delete;
  Attached& operator=(const Attached&) = delete;
  ~Attached() {
    try {
      connection_.script("detach source");
    } catch (const Error&) {  // a source that cannot be let go stays attached until the connection ends
    }
  }

 private:
  Connection& connection_;
};

void check_whole(Store& source) {
  Statement check = source.sql().query("pragma quick_check(1)");
  check.step();
  if (check.text(0) == "ok") return;
  throw Error(Code::store, {.place = {.file = source.file().string()},
                            .what = "the database is damaged; nothing of it was merged",
                            .found = check.text(0),
                            .hint = "what is readable comes out with `sqlite3 FILE .recover`"});
}

MergeCount count(Connection& connection) {
  return {.runs_added = connection.integer("select count(*) from run_choice where added"),
          .runs_replaced = connection.integer("select count(*) from run_choice where replaced"),
          .runs_kept = connection.integer("select count(*) from run_choice where not (added or replaced)"),
          .evaluations = connection.integer("select count(*) from evaluation_map"),
          .benches = connection.integer("select (select count(*) from main.bench) - n from bench_before")};
}

}  // namespace

MergeCount& MergeCount::operator+=(const MergeCount& other) {
  runs_added += other.runs_added;
  runs_replaced += other.runs_replaced;
  runs_kept += other.runs_kept;
  evaluations += other.evaluations;
  benches += other.benches;
  return *this;
}

MergeCount merge(Store& into, const fs::path& source, const StoreOptions& options) {
  std::error_code ignored;
  if (fs::equivalent(into.file(), source, ignored)) {
    throw Error(Code::usage,
                {.place = {.file = source.string()}, .what = "a database cannot be merged into itself"});
  }
  {
    Store checked = Store::open_reading(source, options);  // errors name the source
    check_whole(checked);
  }
  const Connection::Mode mode = reading_mode(source, options);
  const auto written = fs::last_write_time(source, ignored);
  release_dead_runs(into);

  const Attached attached(into.sql(), source, mode);
  Transaction transaction(into.sql());
  into.sql().script(embedded::merge_sql);
  const MergeCount result = count(into.sql());
  into.sql().script(
      "drop table temp.machine_map; drop table temp.build_map; drop table temp.run_choice; drop table "
      "temp.run_map;"
      " drop table temp.evaluation_map; drop table temp.bench_before");
  if (mode == Connection::Mode::frozen &&
      (reading_mode(source, options) != mode || fs::last_write_time(source, ignored) != written)) {
    throw Error(Code::store, {.place = {.file = source.string()},
                              .what = "the database changed while it was read; nothing of it was merged",
                              .hint = "end its writer and merge again"});
  }
  transaction.commit();
  return result;
}

MergeCount merge(Store& into, std::span<const fs::path> sources, const StoreOptions& options) {
  MergeCount total;
  for (const fs::path& source : sources) total += merge(into, source, options);
  return total;
}

}  // namespace mdnlab
