#include "store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>

#include "../error_of.h"
#include "../temporary_folder.h"
#include "base/error.h"
#include "base/file.h"
#include "database.h"
#include "store/metrics.h"
#include "store/query.h"

namespace mdnlab {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr auto soon = 50ms;

void expect_store_error(const std::function<void()>& action, std::initializer_list<std::string> parts) {
  const Error error = error_of(action);
  EXPECT_EQ(error.code(), Code::store);
  for (const std::string& part : parts) EXPECT_THAT(error.what(), HasSubstr(part));
}

// The permission checks that root is spared, for as long as it lives.
class AsNobody {
 public:
  AsNobody() : root_(geteuid() == 0) {
    if (root_ && seteuid(65534) != 0) throw std::runtime_error("cannot become nobody");
  }
  ~AsNobody() {
    if (root_ && seteuid(0) != 0) std::abort();
  }

 private:
  bool root_;
};

TEST(Store, OpensWithTheLogOnAndForeignKeysEnforced) {
  const TemporaryFolder folder;
  const fs::path file = folder / "it's a 100% #1? name.db";
  Store store = Store::open(file);
  EXPECT_TRUE(fs::exists(file));
  EXPECT_EQ(store.sql().integer("pragma user_version"), schema_migrations().back().version);
  EXPECT_EQ(store.sql().integer("pragma foreign_keys"), 1);
  EXPECT_EQ(store.sql().integer("pragma synchronous"), 2);
  Statement mode = store.sql().query("pragma journal_mode");
  mode.step();
  EXPECT_EQ(mode.text(0), "wal");
  expect_store_error(
      [&] {
        add_metrics(store, 7, std::vector<Metric>{{1, "train/loss", 1.0}});
      },
      {"refused a statement", "FOREIGN KEY"});
  EXPECT_EQ(Store::open_reading(file).sql().integer("select count(*) from metric"), 0);
}

TEST(Store, EveryTableIsStrictAndEveryIndexSaysWhy) {
  const TemporaryFolder folder;
  Store store = Store::open(folder / "a.db");
  Statement loose = store.sql().query(
      "select name from pragma_table_list where schema = 'main' and type = 'table'"
      " and not strict and name not like 'sqlite_%'");
  EXPECT_FALSE(loose.step()) << loose.text(0);
  std::string schema;
  for (const Migration& migration : schema_migrations()) schema += migration.sql;
  std::int64_t reasons = 0;
  for (std::size_t at = 0; (at = schema.find("-- index:", at)) != std::string::npos; ++at) ++reasons;
  // A `without rowid` primary key is its table, but is listed as an index as well.
  EXPECT_EQ(store.sql().integer(
                "select count(*) from sqlite_master m, pragma_index_list(m.name) where m.type = 'table'"),
            reasons);
}

TEST(Migration, RunsTheMissingStepsInOrderAndOnce) {
  const TemporaryFolder folder;
  const fs::path file = folder / "a.db";
  const StoreOptions first{.migrations = schema_migrations().first(1)};
  ended_run(*std::make_unique<Store>(Store::open(file, first)), plan_of("k1"));
  const Migration steps[] = {
      schema_migrations()[0],
      {2, "alter table run add column note text; update run set note = key || '!'"},
      {3, "create table extra (note text) strict; insert into extra select note from run"}};
  const StoreOptions newer{.migrations = steps};
  for (int time = 0; time < 2; ++time) {
    Store store = Store::open(file, newer);
    EXPECT_EQ(store.sql().integer("pragma user_version"), 3);
    EXPECT_EQ(store.sql().integer("select count(*) from extra where note = 'k1!'"), 1);
    EXPECT_EQ(store.sql().integer("pragma foreign_keys"), 1);
  }
  for (auto open : {&Store::open, &Store::open_reading}) {
    expect_store_error(
        [&] { open(file, first); },
        {file.string(), "a newer mdnlab wrote the database; found version 3, expected version 1 or older"});
  }
}

TEST(Migration, OfVersion1KeepsItemsAndGivesThemWords) {
  const TemporaryFolder folder;
  const fs::path file = folder / "a.db";
  {
    Store store = Store::open(file, {.migrations = schema_migrations().first(1)});
    store.sql().run(
        "insert into evaluation (id, model_digest, task, metric, n, value, settings_json)"
        " values (1, 'd', 'mqar', 'accuracy', 1, 0.5, '{}')");
    store.sql().run("insert into evaluation_item (evaluation_id, item, value) values (1, 7, 0.5)");
  }
  Store store = Store::open(file);
  Statement row = store.sql().query(
      "select item, value, prompt_digest, answer, prediction, log_probabilities_json from evaluation_item");
  ASSERT_TRUE(row.step());
  EXPECT_EQ(row.integer(0), 7);
  EXPECT_EQ(row.real(1), 0.5);
  for (const int column : {2, 3, 4, 5}) EXPECT_TRUE(row.is_null(column));
  EXPECT_EQ(store.sql().integer("select count(*) from evaluation where low is null and high is null"), 1);
}

// As a command does that only reads.
TEST(Migration, IsDoneByTheFirstWhoReads) {
  const TemporaryFolder folder;
  const fs::path file = folder / "a.db";
  ended_run(*std::make_unique<Store>(Store::open(file, {.migrations = schema_migrations().first(1)})),
            plan_of("k1"));
  const std::string before = contents(file);
  fs::permissions(file, fs::perms{0444});
  fs::permissions(folder.path(), fs::perms{0755});
  {
    const AsNobody reader;
    expect_store_error([&] { Store::open_reading(file); }, {"an older mdnlab wrote the database",
                                                            "found version 1, expected version", "copy it"});
  }
  EXPECT_EQ(contents(file), before);
  fs::permissions(file, fs::perms{0644});
  Store store = Store::open_reading(file);
  EXPECT_FALSE(fs::exists(file.string() + "-wal")) << "all of it lies in the file";
  EXPECT_EQ(store.sql().integer("pragma user_version"), schema_migrations().back().version);
  EXPECT_EQ(store.sql().integer("select count(*) from run where key = 'k1'"), 1);
  EXPECT_EQ(store.sql().integer("select count(*) from asking"), 0);
  EXPECT_EQ(query(file, "select count(prompt_digest) as n from evaluation_item").rows.at(0).at(0), "0");
}

TEST(Migration, AFailingStepLeavesTheDatabaseAsItWas) {
  const TemporaryFolder folder;
  const fs::path file = folder / "a.db";
  const StoreOptions first{.migrations = schema_migrations().first(1)};
  ended_run(*std::make_unique<Store>(Store::open(file, first)), plan_of("k1"));
  const std::string before = contents(file);
  const Migration broken[] = {
      schema_migrations()[0], {2, "delete from run"}, {3, "create table run (id integer)"}};
  expect_store_error([&] { Store::open(file, {.migrations = broken}); }, {"already exists"});
  EXPECT_EQ(contents(file), before);
  const Migration orphaning[] = {schema_migrations()[0], {2, "delete from run"}};
  expect_store_error([&] { Store::open(file, {.migrations = orphaning}); },
                     {"rows that refer to missing rows"});
  EXPECT_EQ(contents(file), before);
}

TEST(Store, RefusesFilesThatAreNotItsOwn) {
  const TemporaryFolder folder;
  const auto refused = [&](const fs::path& file, std::initializer_list<std::string> parts) {
    const std::string before = read_file(file);
    expect_store_error([&] { Store::open(file); }, parts);
    expect_store_error([&] { Store::open_reading(file); }, parts);
    EXPECT_EQ(read_file(file), before);
  };

  std::string noise(8192, '\0');
  std::uint32_t state = 1;
  for (char& byte : noise) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  write_file(folder / "noise.db", noise);
  refused(folder / "noise.db", {(folder / "noise.db").string(), "is not a database", "--db"});

  {
    Connection other(folder / "other.db", Connection::Mode::write, soon);
    other.script("create table t (x)");
  }
  refused(folder / "other.db", {"belongs to another program"});
  {
    Connection other(folder / "versioned.db", Connection::Mode::write, soon);
    other.script("pragma user_version = 9");
  }
  refused(folder / "versioned.db", {"belongs to another program"});

  {
    Store store = Store::open(folder / "cut.db");
    ended_run(store, plan_of("k1"));
  }
  fs::resize_file(folder / "cut.db", fs::file_size(folder / "cut.db") / 2);
  refused(folder / "cut.db", {"the database is damaged"});

  expect_store_error([&] { Store::open(folder.path()); }, {"cannot be opened"});
  expect_store_error([&] { Store::open(folder / "no/such/folder.db"); },
                     {"cannot be opened", "No such file"});
  expect_store_error([&] { Store::open_reading(folder / "none.db"); },
                     {"there is no database here", "mdnlab run"});
  EXPECT_FALSE(fs::exists(folder / "none.db"));
  write_file(folder / "empty.db", "");
  expect_store_error([&] { Store::open_reading(folder / "empty.db"); }, {"the file is empty"});
}

TEST(Store, ADamagedPageIsAnErrorNotACrash) {
  const TemporaryFolder folder;
  const fs::path file = folder / "a.db";
  {
    Store store = Store::open(file);
    const std::int64_t run = ended_run(store, plan_of("k1"));
    std::vector<Metric> metrics;
    for (int step = 0; step < 5000; ++step) metrics.push_back({step, "train/loss", 0.5 * step});
    add_metrics(store, run, metrics);
  }
  std::string bytes = read_file(file);
  for (std::size_t at = bytes.size() / 2; at < bytes.size(); ++at) bytes[at] = static_cast<char>(at * 31);
  write_file(file, bytes);
  Store store = Store::open_reading(file);
  expect_store_error([&] { store.sql().integer("select sum(value) from metric"); },
                     {file.string(), "damaged"});
}

TEST(Store, WaitsForALockAndThenSaysSo) {
  const TemporaryFolder folder;
  const fs::path file = folder / "a.db";
  Store holder = Store::open(file);
  const std::int64_t run = ensure_run(holder, plan_of("k1"));
  Store store = Store::open(file, {.busy_timeout = soon});
  {
    const Transaction held(holder.sql());
    const auto start = std::chrono::steady_clock::now();
    expect_store_error([&] { set_progress(store, run, 1); },
                       {file.string(), "locked by another program", "fuser"});
    EXPECT_GE(std::chrono::steady_clock::now() - start, soon);
    EXPECT_EQ(store.sql().integer("select step from run"), 0) << "readers go on";
  }
  set_progress(store, run, 1);
  EXPECT_EQ(store.sql().integer("select step from run"), 1);

  Connection exclusive(folder / "new.db", Connection::Mode::write, soon);
  exclusive.script("begin exclusive; create table t (x)");
  expect_store_error([&] { Store::open(folder / "new.db", {.busy_timeout = soon}); },
                     {"locked by another program"});
}

TEST(Store, AProtectedFileIsReadAndNotWritten) {
  const TemporaryFolder folder;
  const fs::path file = folder / "a.db";
  {
    Store store = Store::open(file);
    ended_run(store, plan_of("k1"));
  }
  fs::permissions(folder.path(), fs::perms(0555));
  fs::permissions(file, fs::perms(0444));
  {
    const AsNobody nobody;
    expect_store_error([&] { Store::open(file); },
                       {file.string(), "cannot be written", "only allows reading"});
    expect_store_error([&] { Store::open(folder / "new.db"); }, {"cannot be opened", "rights"});
    EXPECT_EQ(Store::open_reading(file).sql().integer("select count(*) from run"), 1);
  }
  fs::permissions(file, fs::perms(0666));  // it could be written, but its log could not be made
  {
    const AsNobody nobody;
    expect_store_error([&] { Store::open(file); }, {"the right to write " + folder.path().string()});
    EXPECT_EQ(Store::open_reading(file).sql().integer("select count(*) from run"), 1);
  }
  fs::permissions(file, fs::perms(0));
  {
    const AsNobody nobody;
    expect_store_error([&] { Store::open_reading(file); }, {"cannot be opened", "Permission denied"});
  }
  fs::permissions(folder.path(), fs::perms(0755));
}

TEST(Store, AFullDiskIsNamedAndWhatWasCommittedStays) {
  const TemporaryFolder folder;
  Store store = Store::open(folder / "a.db");
  const std::int64_t run = ensure_run(store, plan_of("k1"));
  const std::vector<Metric> first = {{1, "train/loss", 1.0}};
  add_metrics(store, run, first);
  store.sql().script("pragma max_page_count = 40");
  std::vector<Metric> many;
  for (int step = 2; step < 20'000; ++step) many.push_back({step, "train/loss", 1.0});
  expect_store_error([&] { add_metrics(store, run, many); },
                     {"the disk is full", "free some space", folder.path().string()});
  EXPECT_EQ(store.sql().integer("select count(*) from metric"), 1);
  store.sql().script("pragma max_page_count = 100000");
  add_metrics(store, run, many);
  EXPECT_EQ(store.sql().integer("select count(*) from metric"), 19'999);
}

TEST(Store, AFullFileSystemIsNamed) {
  const TemporaryFolder folder;
  if (mount("mdnlab-test", folder.path().c_str(), "tmpfs", 0, "size=512k") != 0) {
    GTEST_SKIP() << "mounting a small disk needs root";
  }
  {
    Store store = Store::open(folder / "a.db");
    const std::int64_t run = ensure_run(store, plan_of("k1"));
    std::int64_t kept = 0;
    expect_store_error(
        [&] {
          for (int step = 0; step < 100'000; step += 100) {
            std::vector<Metric> metrics;
            for (int i = 0; i < 100; ++i) metrics.push_back({step + i, "train/loss", 1.0});
            add_metrics(store, run, metrics);
            kept += 100;
          }
        },
        {"the disk is full"});
    EXPECT_GT(kept, 0);
    EXPECT_EQ(store.sql().integer("select count(*) from metric"), kept);
    write_file(folder / "filler", "");
  }
  EXPECT_EQ(umount2(folder.path().c_str(), MNT_DETACH), 0);
}

TEST(Store, IsNotWrittenOnANetworkFileSystem) {
  const TemporaryFolder folder;
  const fs::path file = folder / "a.db";
  {
    Store store = Store::open(file);
    ended_run(store, plan_of("k1"));
  }
  const StoreOptions network{.network_name = [](const fs::path&) { return "Lustre"; }};
  const std::string before = contents(file);
  expect_store_error(
      [&] { Store::open(file, network); },
      {file.string(), "network file system", "found Lustre, expected a local disk", "mdnlab merge"});
  expect_store_error([&] { Store::open(folder / "new.db", network); }, {"Lustre"});
  EXPECT_FALSE(fs::exists(folder / "new.db"));
  EXPECT_EQ(contents(file), before);

  fs::remove(folder / "a.db-wal");
  fs::remove(folder / "a.db-shm");
  EXPECT_EQ(Store::open_reading(file, network).sql().integer("select count(*) from run"), 1);
  EXPECT_FALSE(fs::exists(folder / "a.db-shm")) << "read without an index of the log";
  Store writer = Store::open(file);
  ended_run(writer, plan_of("k2"));
  expect_store_error([&] { Store::open_reading(file, network); },
                     {"Lustre with a log beside the file (a.db-wal)", "copy"});
}

TEST(Network, KnowsTheFileSystemsByNumber) {
  EXPECT_EQ(network_file_system_name(0x6969), "NFS");
  EXPECT_EQ(network_file_system_name(0xff534d42), "CIFS");
  EXPECT_EQ(network_file_system_name(0x0bd00bd0), "Lustre");
  EXPECT_EQ(network_file_system_name(0x65735546), "FUSE");
  EXPECT_EQ(network_file_system_name(0x01021997), "9p");
  EXPECT_EQ(network_file_system_name(0xef53), "") << "ext4";
  EXPECT_EQ(network_file_system_name(0x01021994), "") << "tmpfs";
  const TemporaryFolder folder;
  EXPECT_EQ(network_file_system(folder / "not/there/yet.db"), network_file_system(folder.path()));
}

TEST(Transaction, UndoesItsOwnPartOnly) {
  const TemporaryFolder folder;
  Store store = Store::open(folder / "a.db");
  const std::int64_t run = ensure_run(store, plan_of("k1"));
  {
    Transaction outer(store.sql());
    set_progress(store, run, 5);
    {
      const Transaction inner(store.sql());
      set_progress(store, run, 9);
    }
    EXPECT_EQ(store.sql().integer("select step from run"), 5);
    outer.commit();
  }
  EXPECT_EQ(store.sql().integer("select step from run"), 5);
  {
    const Transaction outer(store.sql());
    Transaction inner(store.sql());
    set_progress(store, run, 7);
    inner.commit();
  }
  EXPECT_EQ(store.sql().integer("select step from run"), 5) << "only the outer commit lasts";
}

}  // namespace
}  // namespace mdnlab
