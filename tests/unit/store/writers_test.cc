// Many processes, one file: no row is lost, also when one of them is killed.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "../temporary_folder.h"
#include "database.h"
#include "store/metrics.h"

namespace mdnlab {
namespace {

constexpr int process_count = 8;
constexpr int batch = 20;  // metrics a transaction

// The batches that each process has seen committed, in memory that they share with the test. It may lag by
// one batch when a process is killed.
using Told = std::array<std::atomic<std::int64_t>, process_count>;

double seconds() {
  const char* text = std::getenv("MDNLAB_STORE_SECONDS");
  return text == nullptr ? 2.0 : std::atof(text);
}

// Everything that a training process does to the store, again and again. Each process opens the file by
// itself, so all of them race to create it.
[[noreturn]] void write_until(std::chrono::steady_clock::time_point end, const std::filesystem::path& file,
                              int index, std::atomic<std::int64_t>& batches) {
  try {
    Store store = Store::open(file);
    RunPlan plan = plan_of("run-" + std::to_string(index));
    plan.steps = 1'000'000'000;
    const std::int64_t run = ensure_run(store, plan);
    ensure_run(store, plan_of("shared"));
    claim(store, run);
    // On a machine that does much else the others may be done before this one's first turn, which comes
    // within the time that a writer waits, or is an error. The last one is to be killed.
    const auto last = index == process_count - 1 ? end + 2 * StoreOptions().busy_timeout : end;
    while (batches == 0 || std::chrono::steady_clock::now() < last) {
      Transaction transaction(store.sql());
      std::vector<Metric> metrics;
      for (int i = 0; i < batch; ++i) metrics.push_back({batches * batch + i, "train/loss", 1.0 * i});
      add_metrics(store, run, metrics);
      add_evaluation(store, {.run_id = run, .step = batches},
                     with_items(score_of("mqar", "accuracy", 0.5, "{}"), {1.0, 0.0}));
      set_progress(store, run, batches + 1);
      transaction.commit();
      ++batches;
    }
    finish_run(store, run, RunState::done);
    _exit(0);
  } catch (const std::exception& error) {
    dprintf(2, "process %d: %s\n", index, error.what());
    _exit(2);
  }
}

TEST(Writers, EightProcessesLoseNoRow) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "a.db";
  void* shared = mmap(nullptr, sizeof(Told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  Told& told = *new (shared) Told{};

  const auto length = std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(seconds()));
  const auto start = std::chrono::steady_clock::now();
  std::array<pid_t, process_count> processes;
  for (int index = 0; index < process_count; ++index) {
    processes[index] = fork();
    if (processes[index] == 0) write_until(start + length, file, index, told[index]);
  }
  std::this_thread::sleep_until(start + length * 3 / 4);
  while (told.back() == 0 && std::chrono::steady_clock::now() < start + length + StoreOptions().busy_timeout)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  kill(processes.back(), SIGKILL);
  for (int index = 0; index < process_count; ++index) {
    int status = 0;
    ASSERT_EQ(waitpid(processes[index], &status, 0), processes[index]);
    EXPECT_EQ(status, index == process_count - 1 ? SIGKILL : 0) << "process " << index;
  }

  Store store = Store::open(file);
  std::int64_t total = 0;
  for (int index = 0; index < process_count; ++index) {
    const RunRow run = find_run(store, "run-" + std::to_string(index)).value();
    const auto rows = [&](const std::string& sql) { return store.sql().integer(sql, run.id); };
    const std::int64_t metrics = rows("select count(*) from metric where run_id = ?");
    total += metrics;
    EXPECT_GT(told[index], 0) << "process " << index << " never had its turn";
    EXPECT_EQ(metrics, run.step * batch) << "each batch is whole";
    EXPECT_EQ(rows("select count(*) from evaluation where run_id = ?"), run.step);
    EXPECT_EQ(rows("select count(*) from evaluation_item join evaluation e on e.id = evaluation_id where "
                   "e.run_id = ?"),
              2 * run.step);
    EXPECT_EQ(rows("select ifnull(max(step) + 1, 0) from metric where run_id = ?"), metrics) << "no gap";
    if (index == process_count - 1) {
      EXPECT_EQ(run.state, RunState::running) << "it was killed";
      EXPECT_GE(run.step, told[index]);
      EXPECT_LE(run.step, told[index] + 1);
    } else {
      EXPECT_EQ(run.state, RunState::done);
      EXPECT_EQ(run.step, told[index]) << "process " << index;
    }
  }
  EXPECT_EQ(store.sql().integer("select count(*) from run where key = 'shared'"), 1);
  EXPECT_EQ(store.sql().integer("select count(*) from machine"), 1);
  Statement check = store.sql().query("pragma integrity_check");
  check.step();
  EXPECT_EQ(check.text(0), "ok");
  munmap(shared, sizeof(Told));
  std::printf("%lld metrics of %d processes in %.0f s\n", static_cast<long long>(total), process_count,
              seconds());
}

}  // namespace
}  // namespace mdnlab
