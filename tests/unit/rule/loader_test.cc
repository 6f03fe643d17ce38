// Plugins found, opened, refused: the module at fault and both stamps are named.
#include "rule/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "../error_of.h"
#include "../temporary_folder.h"

namespace mdnlab {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

fs::path build_folder() {
  const char* folder = std::getenv("MDNLAB_BUILD");
  if (!folder) throw std::runtime_error("MDNLAB_BUILD is not set: run the tests through Meson");
  return folder;
}

fs::path broken(const std::string& name) { return build_folder() / "tests/unit/rule" / (name + ".so"); }

std::vector<std::string> names(const Plugins& plugins) {
  std::vector<std::string> list;
  for (const Plugin& plugin : plugins.all()) list.emplace_back(plugin.info().name);
  return list;
}

// The variable for as long as this lives.
class PluginPath {
 public:
  explicit PluginPath(const std::string& value) { setenv("MDNLAB_PLUGIN_PATH", value.c_str(), 1); }
  ~PluginPath() { unsetenv("MDNLAB_PLUGIN_PATH"); }
};

TEST(Loader, FindsTheRulesOfTheBuildSortedByName) {
  const Plugins plugins;
  EXPECT_THAT(names(plugins),
              testing::IsSupersetOf({"attention", "decay_momentum", "delta_momentum", "gated_deltanet",
                                     "mamba2", "mdn", "sliding_attention"}));
  EXPECT_TRUE(std::ranges::is_sorted(names(plugins)));
  EXPECT_THAT(plugins.refusals(), IsEmpty());
  EXPECT_EQ(plugins.find("mdn").file(), build_folder() / "plugins/mdn.so");
  EXPECT_TRUE(plugins.has("mdn"));
  EXPECT_FALSE(plugins.has("mdm"));
}

TEST(Loader, AnUnknownRuleIsTheUsersAndTheNearestIsNamed) {
  const Plugins plugins;
  const Error error = error_of([&] { plugins.find("gated_deltanets", {"a.yaml", 3, 7}); });
  EXPECT_EQ(error.code(), Code::usage);
  EXPECT_STREQ(error.what(),
               "a.yaml:3:7: unknown rule; found 'gated_deltanets'; did you mean 'gated_deltanet'?");
}

TEST(Loader, AnotherStampIsRefusedWithBoth) {
  const Error error = error_of([] { Plugin plugin(broken("another_stamp")); });
  EXPECT_EQ(error.code(), Code::machine);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("another_stamp.so: the plugin was built for another program"),
                                  HasSubstr("'mdnlab interface 6, libtorch 1.13.0'"),
                                  HasSubstr("'" MDNLAB_BUILD_STAMP "'")));
}

TEST(Loader, AnotherInterfaceIsRefusedWithoutReadingOn) {
  const Error error = error_of([] { Plugin plugin(broken("another_interface")); });
  EXPECT_EQ(error.code(), Code::machine);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("another_interface.so"), HasSubstr("found interface 99"),
                                  HasSubstr(MDNLAB_BUILD_STAMP)));
}

TEST(Loader, AModuleWithoutTheSymbolIsNoPlugin) {
  const Error error = error_of([] { Plugin plugin(broken("no_symbol")); });
  EXPECT_EQ(error.code(), Code::machine);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("no_symbol.so: no plugin: it has no symbol mdnlab_plugin"),
                                  HasSubstr("MDNLAB_PLUGIN")));
}

TEST(Loader, AFileThatIsNoModuleOrNotThereIsNamed) {
  const TemporaryFolder folder;
  const Error missing = error_of([&] { Plugin plugin(folder / "gone.so"); });
  EXPECT_EQ(missing.code(), Code::machine);
  EXPECT_THAT(missing.what(), HasSubstr("gone.so: the plugin is not there"));
  const Error other = error_of([] { Plugin plugin(fs::path(std::getenv("MDNLAB_SOURCE")) / "meson.build"); });
  EXPECT_EQ(other.code(), Code::machine);
  EXPECT_THAT(other.what(), HasSubstr("cannot be opened"));
}

TEST(Loader, NoExceptionOfAFactoryCrossesTheEntry) {
  const Plugin plugin(broken("throwing"));
  const auto create = [&](const std::string& with) {
    const std::vector<std::string> words{"with=" + with};
    plugin.create(read_settings(words, "rule", plugin.options()), {});
  };
  const Error exception = error_of([&] { create("exception"); });
  EXPECT_EQ(exception.code(), Code::machine);
  EXPECT_THAT(exception.what(),
              AllOf(HasSubstr("rule throwing: the factory broke"), HasSubstr("throwing.so"),
                    HasSubstr("built as '" MDNLAB_BUILD_STAMP "', program '" MDNLAB_BUILD_STAMP "'")));
  const Error unknown = error_of([&] { create("unknown"); });
  EXPECT_EQ(unknown.code(), Code::machine);
  EXPECT_THAT(unknown.what(), HasSubstr("an exception of unknown type"));
  // What the user can mend stays the user's, with its place.
  const Error usage = error_of([&] { create("usage"); });
  EXPECT_EQ(usage.code(), Code::usage);
  EXPECT_STREQ(
      usage.what(),
      "--set with=usage: rule throwing: the rule refuses this option; found \"usage\", expected another");
}

TEST(Loader, TwoModulesOfOneNameAreAnErrorThatNamesBoth) {
  const TemporaryFolder folder;
  const fs::path copy = folder / "my_rule.so";
  fs::copy_file(build_folder() / "plugins/mdn.so", copy);
  const fs::path named[] = {copy};
  const Error error = error_of([&] { Plugins plugins(named); });
  EXPECT_EQ(error.code(), Code::machine);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("two plugins are named 'mdn'"), HasSubstr(copy.string()),
                                  HasSubstr((build_folder() / "plugins/mdn.so").string())));
}

TEST(Loader, TheSameFileTwiceIsOnePlugin) {
  const fs::path named[] = {build_folder() / "plugins/mdn.so", build_folder() / "tests/../plugins/mdn.so"};
  EXPECT_EQ(names(Plugins(named)), names(Plugins()));
}

TEST(Loader, SearchesTheFoldersOfThePathAndKeepsWhatItRefuses) {
  const TemporaryFolder good, bad;
  fs::copy_file(broken("throwing"), good / "throwing.so");
  fs::copy_file(broken("another_stamp"), bad / "old.so");
  const PluginPath path(good.path().string() + "::/nowhere:" + bad.path().string());
  const Plugins plugins;
  EXPECT_THAT(names(plugins), testing::Contains("throwing"));
  EXPECT_THAT(plugins.refusals(), ElementsAre(AllOf(HasSubstr("old.so"), HasSubstr("libtorch 1.13.0"),
                                                    HasSubstr(MDNLAB_BUILD_STAMP))));
  // Who asks for a rule that is not there learns what was refused.
  EXPECT_THAT(error_of([&] { plugins.find("old"); }).what(),
              HasSubstr("refused: " + (bad / "old.so").string()));
}

TEST(Loader, TellsOfTheRefusedModuleThatIsMeant) {
  const TemporaryFolder bad;
  for (const char* file : {"first.so", "old.so"}) fs::copy_file(broken("another_stamp"), bad / file);
  const PluginPath path(bad.path().string());
  const std::string message = error_of([] { Plugins().find("old"); }).what();
  EXPECT_THAT(message, AllOf(HasSubstr("refused: " + (bad / "old.so").string()), HasSubstr("; 1 more by")));
  EXPECT_THAT(message, testing::Not(HasSubstr("first.so")));
}

TEST(Loader, ANamedModuleThatIsRefusedIsAnError) {
  const fs::path named[] = {broken("another_stamp")};
  EXPECT_EQ(error_of([&] { Plugins plugins(named); }).code(), Code::machine);
}

}  // namespace
}  // namespace mdnlab
