// `mdnlab run FILE --profile FOLDER`: what it prints and leaves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "../unit/temporary_folder.h"
#include "process.h"

namespace mdnlab {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

struct Profiled {
  explicit Profiled(std::vector<std::string> more) {
    std::ofstream(folder / "two.yaml")
        << "schema: 1\nmodel: {hidden_size: 16, num_hidden_layers: 1, num_heads: 2}\n"
           "task: {name: mqar, vocabulary: 16, pairs: 1, test_examples: 10}\n"
           "train: {batch_size: 2, seq_len: 8, steps: 3}\nsweep: {rule: [mdn, attention]}\n";
    std::vector<std::string> words{"run", "two.yaml", "--device", "cpu", "--profile", "traces"};
    words.insert(words.end(), more.begin(), more.end());
    run = run_mdnlab(words, {.folder = folder.path()});
  }

  std::vector<fs::path> traces() const {
    std::vector<fs::path> list;
    for (const auto& entry : fs::directory_iterator(folder / "traces")) list.push_back(entry.path());
    return list;
  }

  TemporaryFolder folder;
  Finished run;
};

TEST(Profile, TellsOfEachRunAndLeavesItsTrace) {
  const Profiled two({"--json"});
  ASSERT_EQ(two.run.code, 0) << two.run.err;
  std::map<std::string, std::map<std::string, double>> percent, ms;  // of a run's kinds
  for (const auto& row : nlohmann::json::parse(two.run.out)) {
    if (row["operation"] != "") continue;
    percent[row["run"]][row["kind"]] = row["percent"];
    ms[row["run"]][row["kind"]] = row["ms"];
  }
  ASSERT_EQ(percent.size(), 2U) << two.run.out;
  for (auto& [run, kinds] : percent) {
    EXPECT_EQ(kinds["step"], 100) << run;
    double sum = -100;
    for (const auto& [kind, share] : kinds) sum += share;
    EXPECT_NEAR(sum, 100, 2) << run << ": the kinds and what is idle are the whole of a step";
    // By time: the loss of 16 tokens is microseconds, which round to 0.0 % of a step that was interrupted for a while.
    for (const char* const kind : {"matrix products", "optimizer", "loss"})
      EXPECT_GT(ms[run][kind], 0) << run << ": " << kind;
  }
  EXPECT_GT(percent.begin()->second.size(), 5U);

  ASSERT_EQ(two.traces().size(), 2U);
  for (const fs::path& trace : two.traces()) {
    std::ifstream in(trace);
    EXPECT_FALSE(nlohmann::json::parse(in)["traceEvents"].empty()) << trace;
    EXPECT_THAT(two.run.err, HasSubstr(trace.filename().string()));
  }
  EXPECT_FALSE(fs::exists(two.folder / "mdnlab.db")) << "nothing is trained";
}

TEST(Profile, FitsATerminal) {
  const Profiled two({"--only", "rule.name=mdn"});
  ASSERT_EQ(two.run.code, 0) << two.run.err;
  std::istringstream lines(two.run.out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
  EXPECT_EQ(two.traces().size(), 1U);
}

}  // namespace
}  // namespace mdnlab
