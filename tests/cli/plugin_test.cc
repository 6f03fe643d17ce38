// Broken plugins on the command line: exit code 3, with the module and both stamps named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "../unit/temporary_folder.h"
#include "process.h"

namespace mdnlab {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string broken(const std::string& name) {
  return (build_folder() / "tests/unit/rule" / (name + ".so")).string();
}

const std::string experiment =
    "schema: 1\nrule: {name: throwing}\nmodel: {hidden_size: 8, num_hidden_layers: 1, num_heads: 1}\n"
    "task: {name: mqar, vocabulary: 16, pairs: 1}\ntrain: {batch_size: 1, seq_len: 8, steps: 1}\n";

TEST(BrokenPlugin, OfAnotherBuildIsRefusedWithBothStamps) {
  const Finished list = run_mdnlab({"rules", "list", "--plugin", broken("another_stamp")});
  EXPECT_EQ(list.code, 3);
  EXPECT_EQ(list.out, "");
  EXPECT_THAT(list.err, AllOf(HasSubstr("another_stamp.so: the plugin was built for another program"),
                              HasSubstr("found 'mdnlab interface 6, libtorch 1.13.0'"),
                              HasSubstr("expected 'mdnlab interface 6, libtorch 2.11")));
}

TEST(BrokenPlugin, WithoutTheSymbolIsNoPlugin) {
  const Finished list = run_mdnlab({"rules", "list", "--plugin", broken("no_symbol")});
  EXPECT_EQ(list.code, 3);
  EXPECT_THAT(list.err, HasSubstr("no_symbol.so: no plugin: it has no symbol mdnlab_plugin"));
}

TEST(BrokenPlugin, InAFolderIsListedAsRefusedBesideTheGoodOnes) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(broken("another_stamp"), folder / "old.so");
  const Finished list =
      run_mdnlab({"rules", "list"}, {.environment = {{"MDNLAB_PLUGIN_PATH", folder.path().string()}}});
  EXPECT_EQ(list.code, 3);
  EXPECT_THAT(list.out, HasSubstr("\nmdn "));
  EXPECT_THAT(list.err, AllOf(HasSubstr("warning: refused: "), HasSubstr("old.so"),
                              HasSubstr("libtorch 1.13.0"), HasSubstr("libtorch 2.11")));
}

TEST(BrokenPlugin, WhoseFactoryThrowsEndsThePlanBeforeAnythingIsMade) {
  const TemporaryFolder folder;
  std::ofstream(folder / "throwing.yaml") << experiment;
  const Finished run =
      run_mdnlab({"run", "throwing.yaml", "--plugin", broken("throwing"), "--db", "results.db"},
                 {.folder = folder.path()});
  EXPECT_EQ(run.code, 3);
  EXPECT_THAT(run.err, AllOf(HasSubstr("rule throwing: the factory broke"),
                             HasSubstr("throwing.so, built as 'mdnlab interface 6"),
                             HasSubstr("program 'mdnlab interface 6")));
  EXPECT_FALSE(std::filesystem::exists(folder / "results.db"));
}

TEST(BrokenPlugin, ThatRefusesAnOptionPointsAtIt) {
  const TemporaryFolder folder;
  std::ofstream(folder / "throwing.yaml")
      << std::string(experiment).replace(experiment.find("throwing}"), 9, "throwing, with: usage}");
  const Finished plan =
      run_mdnlab({"plan", "throwing.yaml", "--plugin", broken("throwing")}, {.folder = folder.path()});
  EXPECT_EQ(plan.code, 2);
  EXPECT_EQ(plan.err,
            "mdnlab: throwing.yaml:2:30: rule throwing: the rule refuses this option; found \"usage\", "
            "expected another\n");
}

TEST(BrokenPlugin, OfANameThatIsTakenNamesBothFiles) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(build_folder() / "plugins/mdn.so", folder / "mine.so");
  const Finished list = run_mdnlab({"rules", "list", "--plugin", folder / "mine.so"});
  EXPECT_EQ(list.code, 3);
  EXPECT_THAT(list.err, AllOf(HasSubstr("two plugins are named 'mdn'"), HasSubstr("mine.so"),
                              HasSubstr("plugins/mdn.so")));
}

}  // namespace
}  // namespace mdnlab
