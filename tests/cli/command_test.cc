// The program's words: what each command says of itself, and how it refuses what it does not know.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "../unit/temporary_folder.h"
#include "markdown.h"
#include "process.h"

namespace mdnlab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(Help, OfTheProgramNamesEveryCommand) {
  const Finished help = run_mdnlab({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.err, IsEmpty());
  for (const char* command : {"run", "plan", "status", "query", "report", "rules", "data", "merge", "score",
                              "import", "export", "doctor"}) {
    EXPECT_THAT(help.out, HasSubstr(std::string("\n  ") + command + " ")) << command;
  }
}

std::size_t width(const std::string& line) {
  return static_cast<std::size_t>(
      std::ranges::count_if(line, [](unsigned char byte) { return (byte & 0xC0) != 0x80; }));  // of UTF-8
}

// The commands that a help text lists, each with the words before it.
std::vector<std::vector<std::string>> listed(const std::vector<std::string>& words, const std::string& help) {
  std::vector<std::vector<std::string>> commands;
  std::istringstream lines(help.substr(0, help.find("\n\nexamples:")));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("  ") || !std::islower(static_cast<unsigned char>(line[2]))) continue;
    commands.push_back(words);
    commands.back().push_back(line.substr(2, line.find(' ', 2) - 2));
  }
  return commands;
}

Finished help_of(std::vector<std::string> words) {
  words.emplace_back("--help");
  return run_mdnlab(words);
}

TEST(Help, OfEveryCommandShowsItsUseAndAnExampleInEightyColumns) {
  std::vector<std::vector<std::string>> commands = listed({}, help_of({}).out);
  std::size_t leaves = 0;
  while (!commands.empty()) {
    const std::vector<std::string> words = commands.back();
    commands.pop_back();
    std::string command = "mdnlab";
    for (const std::string& word : words) command += " " + word;
    const Finished help = help_of(words);
    EXPECT_EQ(help.code, 0) << help.err;
    EXPECT_THAT(help.err, IsEmpty());
    EXPECT_THAT(help.out, AllOf(StartsWith("usage: " + command), HasSubstr("examples:\n  " + command)));
    std::istringstream lines(help.out);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(width(line), 80u) << command << ": " << line;
    if (help.out.find("Each has its own --help.") != std::string::npos) {
      for (std::vector<std::string>& verb : listed(words, help.out)) commands.push_back(std::move(verb));
    } else {
      ++leaves;
    }
  }
  EXPECT_GE(leaves, 20u);
}

struct Refusal {
  std::vector<std::string> words;
  int code;
  std::string message;
};

TEST(Program, AsksADatabaseWithoutLibTorchAndSaysWhatItNeedsForMore) {
  const TemporaryFolder folder;
  const std::string alone = (folder / "mdnlab").string();
  std::filesystem::copy_file(build_folder() / "mdnlab", alone);
  const Finished list = run({alone, "query", "--list"});
  EXPECT_EQ(list.code, 0) << list.err;
  EXPECT_THAT(list.out, HasSubstr("leaderboard"));
  EXPECT_EQ(run({alone, "merge", (folder / "a.db").string(), (folder / "b.db").string()}).code, 4);
  EXPECT_THAT(run({alone, "report", "--help"}).out, HasSubstr("comparison table"));
  EXPECT_EQ(run({alone, "report", "--db", (folder / "none.db").string()}).code, 4);
  EXPECT_EQ(run({alone, "report", "-o", "page.html"}).code, 3);
  const Finished rules = run({alone, "rules", "list"});
  EXPECT_EQ(rules.code, 3);
  EXPECT_THAT(rules.err, AllOf(HasSubstr(alone + "-torch"), HasSubstr("cannot be started")));
}

TEST(Words, ThatNobodyKnowsAreRefusedWithTheNearest) {
  const std::string plan = (source_folder() / "experiments/quickstart.yaml").string();
  const std::vector<Refusal> refusals{
      {{"statsu"}, 2, "unknown command; found 'statsu'; did you mean 'status'?"},
      {{"rules", "lst"}, 2, "rules: unknown word; found 'lst'; did you mean 'list'?"},
      {{"data", "sampel"}, 2, "data: unknown word; found 'sampel'; did you mean 'sample'?"},
      {{"plan", plan, "--josn"}, 2, "unknown option; found '--josn'; did you mean '--json'?"},
      {{"rules", "show", "mdm"}, 2, "unknown rule; found 'mdm'; did you mean 'mdn'?"},
      {{"rules", "show", "mdn", "--hidden-size", "10", "--num-heads", "4"},
       2,
       "--num-heads does not divide --hidden-size; found 4, expected a divisor of 10"},
      {{"data", "sample", "--task", "mqra"}, 2, "unknown task; found 'mqra'; did you mean 'mqar'?"},
      {{"run"}, 2, "FILE is missing; usage: mdnlab run FILE.yaml"},
      {{"plan"}, 2, "FILE is missing; usage: mdnlab plan FILE.yaml"},
      {{"run", "a.yaml", "b.yaml"}, 2, "too many words; usage: mdnlab run FILE.yaml"},
      {{"run", "nowhere.yaml"}, 2, "nowhere.yaml: cannot read the file: No such file or directory"},
      {{"run", "/"}, 2, "/: cannot read the file: Is a directory"},
      {{"run", plan, "--jobs", "0"}, 2, "--jobs is no number; found '0', expected a whole number, 1 or more"},
      {{"run", plan, "--jobs-per-device", "0"}, 2, "--jobs-per-device is no number; found '0'"},
      {{"run", plan, "--jobs", "2", "--jobs-per-device", "2"},
       2,
       "--jobs and --jobs-per-device do not go together"},
      {{"run", plan, "--device", "cpu", "--jobs-per-device", "2"}, 2, "--jobs-per-device is for GPUs"},
      {{"run", plan, "--device", "gpu", "--jobs-per-device", "2"}, 2, "unknown device; found --device gpu"},
      {{"run", plan, "--jobs-per-device", "2"}, 3, "there is no device cuda:0; found "},
      {{"run", plan, "--jobs-per-device", "2", "--device", "cuda"}, 3, "there is no device cuda:0; found "},
      {{"plan", plan, "--shard", "2/2"},
       2,
       "--shard is no part of a plan; found '2/2', expected I/N with 0 ≤ I < N"},
      {{"plan", plan, "--only", "rule.nme=mdn"}, 2, "--only names a path that no run has; found 'rule.nme'"},
      {{"plan", plan, "--device", "tpu"}, 2, "found --device tpu, expected auto, cpu, cuda or cuda:N"},
      {{"plan", plan, "--device", "cuda:100"}, 3, "there is no device cuda:100; found "},
      {{"doctor", "--device", "cuda:100"}, 3, "there is no device cuda:100; found "},
      {{"run", plan, "--device", "cuda:100"}, 3, "there is no device cuda:100; found "},
      {{"rules", "bench", "mdn", "--shape", "1,2,3"}, 2, "--shape is no shape; found '1,2,3'"},
      {{"rules", "bench", "mdn", "--shape", "B1,T8,H4,K8,V8,G3"}, 2, "G (key heads) divides H"},
      {{"rules", "bench", "mdn", "--kernel", "nope"}, 2, "found 'nope'"},
      {{"report", "-o", "table.pdf"}, 2, "a report is a page, Markdown, or CSV; found table.pdf"},
      {{"merge", "one.db"}, 2, "DATABASE is missing; usage: mdnlab merge INTO.db FROM.db…"}};
  const TemporaryFolder folder;
  for (const auto& [words, code, message] : refusals) {
    const Finished run = run_mdnlab(words, {.folder = folder.path()});
    EXPECT_EQ(run.code, code) << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_THAT(run.err, AllOf(StartsWith("mdnlab: "), HasSubstr(message)));
    EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << run.err;
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Words, WithoutAnyTheOverviewIsShownAsAMistake) {
  const Finished nothing = run_mdnlab({});
  EXPECT_EQ(nothing.code, 2);
  EXPECT_THAT(nothing.out, StartsWith("usage: mdnlab COMMAND"));
}

TEST(Plan, AFilterMayNameWhatOtherShardsHave) {
  const TemporaryFolder folder;
  std::ofstream(folder / "two.yaml")
      << "schema: 1\nmodel: {hidden_size: 8, num_hidden_layers: 1, num_heads: 1}\n"
         "task: {name: mqar, vocabulary: 16, pairs: 1}\ntrain: {batch_size: 1, seq_len: 8, steps: 1}\n"
         "sweep: {rule: [mdn, attention]}\n";
  const std::vector<std::string> words{"plan", "two.yaml", "--csv", "--only", "rule.tau_factor=1", "--shard"};
  for (const auto& [shard, lines] : std::vector<std::pair<std::string, int>>{{"0/2", 2}, {"1/2", 1}}) {
    std::vector<std::string> with_shard = words;
    with_shard.push_back(shard);
    const Finished plan = run_mdnlab(with_shard, {.folder = folder.path()});
    EXPECT_EQ(plan.code, 0) << plan.err;
    EXPECT_EQ(std::ranges::count(plan.out, '\n'), lines) << plan.out;
  }
}

TEST(Output, ToAClosedPipeEndsQuietly) {
  const TemporaryFolder folder;
  const std::string program = (build_folder() / "mdnlab").string();
  // More than a pipe holds, so that the reader is gone before the end.
  const Finished piped = run(
      {"sh", "-c",
       "(" + program +
           " data sample --task mqar --seq-len 4096 --count 64; echo $? > code) | head -n 1 | cut -c 1-6"},
      {.folder = folder.path()});
  EXPECT_EQ(piped.out, "tokens\n");
  EXPECT_EQ(piped.err, "");
  EXPECT_EQ(read_text(folder / "code"), "141\n");
}

TEST(Output, ThatCannotBeWrittenIsAnError) {
  const Finished full =
      run({"sh", "-c", (build_folder() / "mdnlab").string() + " plan --reference > /dev/full"});
  EXPECT_EQ(full.code, 4);
  EXPECT_THAT(full.err, HasSubstr("cannot write to standard output: No space left on device"));
}

TEST(Output, FitsATerminal) {
  const auto experiment = [](const char* name) { return (source_folder() / "experiments" / name).string(); };
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"plan", experiment("quickstart.yaml")},
                                             {"plan", experiment("mamba2-3to1-400m.yaml")},
                                             {"plan", experiment("mdn-7b.yaml")},
                                             {"rules", "list"},
                                             {"rules", "show", "mdn"},
                                             {"rules", "show", "mamba2"},
                                             {"rules", "show", "family"}}) {
    const Finished done = run_mdnlab(words);
    EXPECT_EQ(done.code, 0) << done.err;
    std::istringstream lines(done.out);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with('/')) continue;
      EXPECT_LE(width(line), 80u) << words[1] << ": " << line;
    }
  }
}

TEST(Output, JsonIsOneObjectWhateverTheCommand) {
  const std::string text = (source_folder() / "experiments/data/tinyshakespeare.txt").string();
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"plan", (source_folder() / "experiments/quickstart.yaml").string()},
           {"rules", "list"},
           {"rules", "show", "mdn"},
           {"data", "info", text},
           {"data", "sample", "--task", "text", "--path", text},
           {"doctor"}}) {
    std::vector<std::string> with_json = words;
    with_json.emplace_back("--json");
    const Finished done = run_mdnlab(with_json);
    EXPECT_EQ(done.code, 0) << done.err;
    EXPECT_FALSE(nlohmann::json::parse(done.out, nullptr, false).is_discarded())
        << words[0] << ": " << done.out;
  }
}

TEST(DataSample, ShowsWhatATestAsksInWords) {
  const std::string words = "words=" + (source_folder() / "experiments/data/words").string();
  const Finished done = run_mdnlab(
      {"data", "sample", "--task", "needle", "--set", words, "--set", "lengths=1024", "--asked", "--json"});
  ASSERT_EQ(done.code, 0) << done.err;
  const nlohmann::json item = nlohmann::json::parse(done.out)["items"][0];
  EXPECT_THAT(item["prompt"].get<std::string>(), HasSubstr("What is the special magic number for "));
  EXPECT_THAT(item["prompt"].get<std::string>(),
              HasSubstr(" is: " + item["answer"].get<std::string>() + "."));
  EXPECT_EQ(item["most_tokens"], 128);
}

}  // namespace
}  // namespace mdnlab
