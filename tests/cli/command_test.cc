// The program's words: what each command says of itself, and how it refuses what it does not know.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  for (const char* command : {"run", "plan", "status", "query", "report", "rules", "data", "merge", "doctor"}) {
    EXPECT_THAT(help.out, HasSubstr(std::string("\n  ") + command + " ")) << command;
  }
}

class CommandHelp : public testing::TestWithParam<std::vector<std::string>> {};

TEST_P(CommandHelp, ShowsItsUseAndAnExample) {
  std::vector<std::string> words = GetParam();
  std::string command = "mdnlab";
  for (const std::string& word : words) command += " " + word;
  words.emplace_back("--help");
  const Finished help = run_mdnlab(words);
  EXPECT_EQ(help.code, 0) << help.err;
  EXPECT_THAT(help.err, IsEmpty());
  EXPECT_THAT(help.out, AllOf(StartsWith("usage: " + command), HasSubstr("examples:\n  " + command)));
}

INSTANTIATE_TEST_SUITE_P(
    Commands, CommandHelp,
    testing::Values(std::vector<std::string>{"run"}, std::vector<std::string>{"plan"}, std::vector<std::string>{"status"},
                    std::vector<std::string>{"query"}, std::vector<std::string>{"report"},
                    std::vector<std::string>{"rules", "list"}, std::vector<std::string>{"rules", "show"},
                    std::vector<std::string>{"rules", "bench"}, std::vector<std::string>{"data", "pack"},
                    std::vector<std::string>{"data", "info"}, std::vector<std::string>{"data", "sample"},
                    std::vector<std::string>{"merge"}, std::vector<std::string>{"doctor"}),
    [](const auto& info) {
      std::string name;
      for (const std::string& word : info.param) name += word;
      return name;
    });

}  // namespace
}  // namespace mdnlab
