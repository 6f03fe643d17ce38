// A sweep that is stopped (killed, interrupted, its checkpoint damaged) and run again ends with the bits of
// one that was never stopped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "../unit/temporary_folder.h"
#include "process.h"

namespace mdnlab {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Two rules × two workloads, seconds long: momentum with a text, attention with recall, and the other way
// round.
constexpr int checkpoint_every = 7;  // as below
constexpr const char* sweep_yaml = R"(
schema: 1
name: resume
model: {hidden_size: 32, num_hidden_layers: 2, num_heads: 2, hidden_ratio: 1}
data: {path: text.txt, documents: reset}
train: {steps: 60, lr: 3e-3, warmup_steps: 5, checkpoint_every: 7, evaluate_every: 20, seed: 3}
sweep:
  rule: [mdn, attention]
  zip:
    - task: [{name: text, length_factors: [1, 2]}, {name: mqar, vocabulary: 32, pairs: 2, test_examples: 50}]
      train: [{batch_size: 2, seq_len: 48, tokens_per_step: 192}, {batch_size: 8, seq_len: 16}]
)";

std::string read(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream content;
  content << stream.rdbuf();
  return content.str();
}

std::vector<std::string> sorted_lines(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  std::ranges::sort(lines);
  return lines;
}

// The cells of a Markdown table but for one column's, which must be there.
std::vector<std::string> without_column(const std::string& table, const std::string& title) {
  std::vector<std::string> cells;
  std::istringstream lines(table);
  std::ptrdiff_t left_out = -1, column = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    column = 0;
    for (std::string cell; std::getline(words, cell, '|'); ++column) {
      const std::size_t begin = cell.find_first_not_of(' '), end = cell.find_last_not_of(' ');
      cell = begin == cell.npos ? "" : cell.substr(begin, end - begin + 1);
      if (cell == title) left_out = column;
      if (column != left_out && cell.find("---") == cell.npos) cells.push_back(cell);
    }
  }
  EXPECT_GT(left_out, 0) << table;
  return cells;
}

class Resume : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    whole_ = new Sweep("whole");
    const Finished run = whole_->run({});
    ASSERT_EQ(run.code, 0) << run.err;
  }
  static void TearDownTestSuite() {
    delete whole_;
    whole_ = nullptr;
  }

  // A folder with the sweep, its text and its database.
  struct Sweep {
    explicit Sweep(const std::string& name) : database(folder / (name + ".db")) {
      std::ofstream(folder / "sweep.yaml") << sweep_yaml;
      std::ofstream text(folder / "text.txt");
      for (int i = 0; i < 700; ++i)
        text << "line " << i * i % 977 << " of a text that repeats itself a little\n";
    }
    std::vector<std::string> words(std::vector<std::string> more) const {
      std::vector<std::string> all{"run", (folder / "sweep.yaml").string(), "--db", database.string()};
      all.insert(all.end(), more.begin(), more.end());
      return all;
    }
    Finished run(std::vector<std::string> more) const {
      return run_mdnlab(words(std::move(more)), {.timeout = std::chrono::seconds(120)});
    }
    std::string rows(const std::string& sql) const {
      const Finished query = run_mdnlab({"query", sql, "--csv", "--db", database.string()});
      EXPECT_EQ(query.code, 0) << query.err;
      return query.out;
    }
    // All that a run measured, but for times.
    std::string metrics() const {
      return rows(
          "select key, metric.step, metric.name, value from metric join run on run.id = run_id "
          "where metric.name <> 'train/tokens_per_second' order by key, metric.name, metric.step");
    }
    std::string scores() const {
      return rows(
          "select key, evaluation.task, metric, length, n, value, stderr, low, high, settings_json from evaluation "
          "join run on run.id = run_id order by 1, 2, 3, 4, 10");
    }
    // What a command prints of the database.
    std::string words_of(std::vector<std::string> words) const {
      words.insert(words.end(), {"--db", database.string()});
      const Finished command = run_mdnlab(words);
      EXPECT_EQ(command.code, 0) << command.err;
      return command.out;
    }
    std::string states() const { return rows("select name, state, step from run order by key"); }
    // The weights of each run's newest checkpoint, by key.
    std::map<std::string, std::string> weights() const {
      std::map<std::string, std::string> all;
      fs::path runs = database;
      runs.replace_extension(".runs");
      for (const auto& run : fs::directory_iterator(runs)) {
        fs::path newest;
        for (const auto& step : fs::directory_iterator(run)) newest = std::max(newest, step.path());
        all[run.path().filename()] = newest.filename().string() + read(newest / "model.safetensors") +
                                     read(newest / "optimizer.safetensors");
      }
      return all;
    }
    // The newest step with a checkpoint of each run that has one, by key.
    std::map<std::string, int> newest_steps() const {
      std::map<std::string, int> newest;
      fs::path runs = database;
      runs.replace_extension(".runs");
      std::error_code ignored;  // folders come and go while the sweep runs
      for (auto it = fs::recursive_directory_iterator(runs, ignored);
           it != fs::recursive_directory_iterator(); it.increment(ignored)) {
        const std::string name = it->path().filename(), prefix = "step-";
        if (!name.starts_with(prefix)) continue;  // a folder under way has another name
        int& step = newest[it->path().parent_path().filename()];
        step = std::max(step, std::stoi(name.substr(prefix.size())));
      }
      return newest;
    }
    // How many checkpoints the sweep has written, the removed ones too: how far it is, in a number that never
    // falls. (The folders that stand at a moment are two a run, three while a new one replaces an old.)
    int checkpoints() const {
      int count = 0;
      for (const auto& [key, step] : newest_steps())
        count += (step + checkpoint_every - 1) / checkpoint_every;
      return count;
    }
    bool has_unfinished_run_with_checkpoint() const {
      const std::map<std::string, int> newest = newest_steps();
      if (newest.empty()) return false;  // there may be no database yet
      std::istringstream unfinished(rows("select key from run where state <> 'done'"));
      for (std::string key; std::getline(unfinished, key);) {
        if (newest.contains(key)) return true;
      }
      return false;
    }
    TemporaryFolder folder;
    fs::path database;
  };

  static void expect_same(const Sweep& sweep) {
    EXPECT_EQ(sweep.states(), whole_->states());
    EXPECT_EQ(sweep.metrics(), whole_->metrics());
    EXPECT_EQ(sweep.scores(), whole_->scores());
    EXPECT_TRUE(sweep.weights() == whole_->weights()) << "the weights differ";
  }

  static Sweep* whole_;
};

Resume::Sweep* Resume::whole_ = nullptr;

TEST_F(Resume, TheWholeSweepMeasuredSomething) {
  EXPECT_EQ(whole_->weights().size(), 4u);
  EXPECT_THAT(whole_->metrics(), HasSubstr("train/loss"));
  EXPECT_THAT(whole_->metrics(), HasSubstr("valid/bits_per_byte"));
  EXPECT_THAT(whole_->metrics(), HasSubstr("valid/accuracy"));
  EXPECT_THAT(whole_->scores(), HasSubstr("perplexity"));
}

TEST_F(Resume, AgainDoesNothing) {
  const Finished run = whole_->run({});
  EXPECT_EQ(run.code, 0);
  EXPECT_THAT(run.err, HasSubstr("4 planned, 4 done before, 0 done now, 0 failed"));
}

TEST_F(Resume, TwoJobsChangeNoResult) {
  const Sweep sweep("jobs");
  ASSERT_EQ(sweep.run({"--jobs", "2"}).code, 0);
  expect_same(sweep);
}

TEST_F(Resume, ShardsMergedAreTheWhole) {
  const Sweep sweep("shard0"), other("shard1");
  ASSERT_EQ(sweep.run({"--shard", "0/2"}).code, 0);
  ASSERT_EQ(other.run({"--shard", "1/2"}).code, 0);
  const Finished merged = run_mdnlab({"merge", sweep.database.string(), other.database.string()});
  ASSERT_EQ(merged.code, 0) << merged.err;
  EXPECT_EQ(sweep.metrics(), whole_->metrics());
  EXPECT_EQ(sweep.scores(), whole_->scores());
  EXPECT_EQ(sweep.states(), whole_->states());
  EXPECT_EQ(sorted_lines(sweep.words_of({"status"})), sorted_lines(whole_->words_of({"status"})));
  EXPECT_EQ(without_column(sweep.words_of({"report"}), "tokens per second"),
            without_column(whole_->words_of({"report"}), "tokens per second"));
}

// Killed once a number of checkpoints has been written, and a moment later: inside a step, an evaluation or a
// write.
class ResumeAfterKill : public Resume, public testing::WithParamInterface<std::pair<int, int>> {};

TEST_P(ResumeAfterKill, EndsWithTheSameBits) {
  const auto [checkpoints, pause_ms] = GetParam();
  const Sweep sweep("killed");
  {
    Process process(mdnlab_words(sweep.words({})), {.timeout = std::chrono::seconds(120)});
    while (process.is_running() && sweep.checkpoints() < checkpoints)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
    ASSERT_TRUE(process.is_running()) << "the sweep was over before it could be killed";
    process.signal_group(SIGKILL);
    EXPECT_EQ(process.wait().code, -SIGKILL);
  }
  const bool amid_a_run = sweep.has_unfinished_run_with_checkpoint();
  const Finished run = sweep.run({});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(run.err.find("goes on from step") != run.err.npos, amid_a_run) << run.err;
  expect_same(sweep);
}

// The first: before any checkpoint. The last: amid the second run, behind the nine of the first.
INSTANTIATE_TEST_SUITE_P(Points, ResumeAfterKill,
                         testing::Values(std::pair{0, 150}, std::pair{1, 0}, std::pair{2, 13},
                                         std::pair{2, 47}, std::pair{3, 5}, std::pair{11, 29}));

// The parent alone dies: its worker must not go on beside the next sweep.
TEST_F(Resume, AfterOnlyTheParentWasKilled) {
  const Sweep sweep("orphan");
  {
    Process process(mdnlab_words(sweep.words({})), {.timeout = std::chrono::seconds(120)});
    while (process.is_running() && sweep.checkpoints() < 1)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    process.signal(SIGKILL);
    process.wait();
    const Finished run = sweep.run({});
    ASSERT_EQ(run.code, 0) << run.err;
  }
  expect_same(sweep);
}

TEST_F(Resume, AfterCtrlC) {
  const Sweep sweep("interrupted");
  {
    Process process(mdnlab_words(sweep.words({"--jobs", "2"})), {.timeout = std::chrono::seconds(120)});
    while (process.is_running() && sweep.checkpoints() < 1)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    process.signal_group(SIGINT);
    const Finished stopped = process.wait();
    EXPECT_EQ(stopped.code, 130) << stopped.err;
    EXPECT_THAT(stopped.err, HasSubstr("checkpoint"));
    EXPECT_THAT(sweep.states(), HasSubstr("interrupted"));
  }
  ASSERT_EQ(sweep.run({}).code, 0);
  expect_same(sweep);
}

TEST_F(Resume, ADamagedCheckpointIsRefusedByNameAndTheOneBeforeUsed) {
  const Sweep sweep("damaged");
  {
    Process process(mdnlab_words(sweep.words({})), {.timeout = std::chrono::seconds(120)});
    while (process.is_running() && sweep.checkpoints() < 2)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    process.signal_group(SIGINT);
    ASSERT_EQ(process.wait().code, 130);
  }
  fs::path runs = sweep.database;
  runs.replace_extension(".runs");
  fs::path newest;
  for (const auto& run : fs::directory_iterator(runs)) {
    for (const auto& step : fs::directory_iterator(run)) newest = std::max(newest, step.path());
  }
  {
    std::fstream file(newest / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(-5, std::ios::end);
    const char byte = static_cast<char>(file.get());
    file.seekp(-5, std::ios::end);
    file.put(static_cast<char>(byte ^ 0x10));
  }
  const Finished run = sweep.run({});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr((newest / "model.safetensors").string()));
  expect_same(sweep);
}

TEST_F(Resume, ADivergingRunIsMarkedAndTheSweepGoesOn) {
  const Sweep sweep("diverged");
  std::ofstream(sweep.folder / "sweep.yaml") << R"(
schema: 1
name: diverging
rule: mdn
model: {hidden_size: 16, num_hidden_layers: 1, num_heads: 1, hidden_ratio: 0}
task: {name: mqar, vocabulary: 32, pairs: 2, test_examples: 10}
train: {batch_size: 4, seq_len: 16, steps: 20}
sweep: {train.lr: [1e38, 1e-3]}
)";
  const Finished run = sweep.run({});
  EXPECT_EQ(run.code, 1) << run.err;
  EXPECT_EQ(
      sweep.rows(
          "select name, state, step > 0, error like '%not finite at step%' or error like 'the loss is % at step%' as told "
          "from run order by id"),
      "name,state,step > 0,told\ntrain.lr=1e38,diverged,1,1\ntrain.lr=1e-3,done,1,\n");
  EXPECT_EQ(sweep.run({}).code, 1) << "a diverged run stays a failure";
}

TEST_F(Resume, ARunThatRunsOutOfMemoryFailsAndTheSweepGoesOn) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer ends a process that asks for so much";
#endif
  const Sweep sweep("memory");
  std::ofstream(sweep.folder / "sweep.yaml") << R"(
schema: 1
rule: mdn
model: {hidden_size: 16, num_hidden_layers: 1, num_heads: 1, hidden_ratio: 0}
task: {name: mqar, vocabulary: 32, pairs: 2, test_examples: 10}
train: {seq_len: 16, steps: 2}
sweep: {train.batch_size: [1_000_000_000_000, 4]}
)";
  const Finished run = sweep.run({});
  EXPECT_EQ(run.code, 1) << run.err;
  EXPECT_THAT(run.err, HasSubstr("train.batch_size=1_000_000_000_000: warning: the run is estimated at "));
  EXPECT_THAT(run.err, HasSubstr("it may run out of memory"));
  const std::string rows = sweep.rows("select name, state, error from run order by id");
  EXPECT_THAT(rows, HasSubstr("failed,\"out of memory; found "));
  EXPECT_THAT(rows, HasSubstr(" in use at most, "));
  EXPECT_THAT(rows, HasSubstr(" estimated; this machine has "));
  EXPECT_THAT(rows, HasSubstr("lower train.batch_size (it is 1000000000000) and keep tokens_per_step: "));
  EXPECT_THAT(rows, HasSubstr("train.batch_size=4,done"));
}

}  // namespace
}  // namespace mdnlab
