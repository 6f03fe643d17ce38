// experiments/README.md: its reference is the program's, its examples are whole and its commands run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../unit/temporary_folder.h"
#include "markdown.h"
#include "process.h"

namespace mdnlab {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

std::string readme() { return read_text(source_folder() / "experiments/README.md"); }

TEST(ExperimentsReadme, HoldsTheReferenceThatTheProgramPrints) {
  const Finished reference = run_mdnlab({"plan", "--reference"});
  ASSERT_EQ(reference.code, 0) << reference.err;
  EXPECT_EQ(between(readme(), "<!-- reference -->\n", "<!-- end of reference -->"), reference.out)
      << "put the output of `mdnlab plan --reference` between the marks";
  for (const char* option : {"`gate_constraint`", "`hidden_size`", "`tokenizer`", "`length_factors`",
                             "`pairs`", "`seq_len`", "`samples`"}) {
    EXPECT_THAT(reference.out, HasSubstr(option));
  }
}

TEST(ExperimentsReadme, ThePlanOfEachExampleIsItsRuns) {
  const TemporaryFolder folder;
  std::filesystem::create_directory_symlink(source_folder() / "experiments/data", folder / "data");
  const std::vector<Block> examples = blocks(readme(), "yaml");
  write_blocks(examples, folder.path());
  const std::vector<std::pair<std::string, int>> expected{{"first.yaml", 2},     {"grid.yaml", 27},
                                                          {"workloads.yaml", 8}, {"ablation.yaml", 12},
                                                          {"hybrid.yaml", 8},    {"mdn_400m.yaml", 1}};
  ASSERT_THAT(examples, SizeIs(expected.size()));
  for (const auto& [name, runs] : expected) {
    const Finished plan = run_mdnlab({"plan", name, "--csv"}, {.folder = folder.path()});
    EXPECT_EQ(plan.code, 0) << name << ": " << plan.err;
    EXPECT_EQ(std::ranges::count(plan.out, '\n'), runs + 1) << name << "\n" << plan.out;
  }
}

TEST(ExperimentsReadme, ItsCommandsRun) {
  const TemporaryFolder folder;
  std::filesystem::create_directory_symlink(source_folder() / "experiments/data", folder / "data");
  write_blocks(blocks(readme(), "yaml"), folder.path());
  const std::vector<Block> scripts = blocks(readme(), "sh");
  ASSERT_THAT(scripts, SizeIs(3));
  const std::string path = build_folder().string() + ":" + std::getenv("PATH");
  std::string results;
  for (const Block& script : scripts) {
    const Finished done =
        run({"sh", "-euc", script.content}, {.folder = folder.path(), .environment = {{"PATH", path}}});
    EXPECT_EQ(done.code, 0) << script.content << done.err;
    results += done.out;
  }
  EXPECT_THAT(results, testing::ContainsRegex("rule=mdn +done +40 +40"));
  EXPECT_THAT(results, testing::ContainsRegex("\\| mdn +\\| +16,792 \\|"));
  EXPECT_THAT(results, HasSubstr("\"parameters\": 417537012"));
}

TEST(Experiments, ThatShipCanBePlanned) {
  for (const auto& entry : std::filesystem::directory_iterator(source_folder() / "experiments")) {
    if (entry.path().extension() != ".yaml") continue;
    const Finished plan = run_mdnlab({"plan", entry.path().string()});
    EXPECT_EQ(plan.code, 0) << entry.path() << ": " << plan.err;
  }
}

}  // namespace
}  // namespace mdnlab
