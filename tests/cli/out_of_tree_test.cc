// `rules new`: its plugin is built outside the tree, checked and trained, as plugins/README.md and its own
// words say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "../unit/temporary_folder.h"
#include "markdown.h"
#include "process.h"

namespace mdnlab {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::SizeIs;

bool is_found(const std::string& program) { return run({"sh", "-c", "command -v " + program}).code == 0; }

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

// Where the Meson of this build is.
std::string meson_folder() { return fs::path(std::getenv("MDNLAB_MESON")).parent_path().string(); }

// This build, installed into a folder of its own.
class Installation {
 public:
  Installation() {
    const Finished install = run({std::getenv("MDNLAB_MESON"), "install", "-C", build_folder(),
                                  "--no-rebuild", "--quiet", "--destdir", folder_.path()},
                                 {.timeout = std::chrono::seconds(120)});
    if (install.code != 0) throw std::runtime_error("meson install: " + install.out + install.err);
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      if (entry.path().filename() == "mdnlab") program_ = entry.is_regular_file() ? entry.path() : program_;
      if (entry.path().filename() == "mdnlab.pc") package_ = entry.path();
    }
    // The package says the prefix of the build; the files lie under ours.
    const std::string package = read_text(package_);
    const std::string prefix = between(package, "prefix=", "\n");
    std::ofstream(package_) << replaced(package, "prefix=" + prefix,
                                        "prefix=" + folder_.path().string() + prefix);
  }

  ProcessOptions options(const fs::path& folder) const {
    return {.folder = folder,
            .environment = {{"PATH", program_.parent_path().string() + ":" + meson_folder() + ":" +
                                         std::getenv("PATH")},
                            {"PKG_CONFIG_PATH", package_.parent_path().string()},
                            {"LD_LIBRARY_PATH", ""}},  // Meson names the build tree there
            .timeout = std::chrono::seconds(240)};
  }

 private:
  TemporaryFolder folder_;
  fs::path program_, package_;
};

TEST(OutOfTreePlugin, IsWrittenBuiltCheckedAndTrainedAsTheReadmeSays) {
  for (const char* program : {"c++", "ninja", "pkg-config"}) {
    if (!is_found(program)) GTEST_SKIP() << "there is no " << program;
  }
  const Installation installation;
  const TemporaryFolder folder;
  const std::string readme = read_text(source_folder() / "plugins/README.md");
  std::string script;
  for (const Block& block : blocks(readme, "sh")) script += block.content;
  const Finished done = run({"sh", "-euc", script}, installation.options(folder.path()));
  ASSERT_EQ(done.code, 0) << done.out << done.err;
  EXPECT_THAT(done.out, AllOf(HasSubstr("\nforget_logit "), HasSubstr("decay that a full write costs"),
                              ContainsRegex("\\| coupled +\\|")));
  EXPECT_THAT(done.err, HasSubstr("2 done now, 0 failed"));
  EXPECT_EQ(done.out.find("warning"), std::string::npos) << "no warning either";

  // What the walk shows is what was written.
  const std::vector<Block> code = blocks(readme, "cpp"), sweep = blocks(readme, "yaml");
  ASSERT_THAT(code, SizeIs(1));
  ASSERT_THAT(sweep, SizeIs(1));
  const std::string written = read_text(folder / "coupled/coupled.cc");
  EXPECT_EQ(written, code[0].content);
  EXPECT_LE(std::ranges::count(written, '\n'), 80);
  EXPECT_EQ("# sweep.yaml\n" + read_text(folder / "coupled/sweep.yaml"), sweep[0].content);

  // Without the plugin the rule is unknown.
  const Finished without =
      run({"sh", "-c", "mdnlab plan coupled/sweep.yaml"}, installation.options(folder.path()));
  EXPECT_EQ(without.code, 2);
  EXPECT_THAT(without.err, HasSubstr("unknown rule; found 'coupled'"));
}

TEST(OutOfTreePlugin, TheCommandsThatRulesNewPrintsWorkFromTheBuildTree) {
  if (!is_found("ninja") || !is_found("pkg-config")) GTEST_SKIP() << "ninja or pkg-config is not here";
  const TemporaryFolder folder;
  const ProcessOptions options{.folder = folder.path(),
                               .environment = {{"LD_LIBRARY_PATH", ""}},
                               .timeout = std::chrono::seconds(240)};
  const Finished written = run_mdnlab({"rules", "new", "my_rule_2"}, options);
  ASSERT_EQ(written.code, 0) << written.err;
  EXPECT_THAT(written.err, HasSubstr("wrote my_rule_2"));
  const Finished done = run({"sh", "-euc", written.out}, options);
  EXPECT_EQ(done.code, 0) << done.out << done.err;
  EXPECT_THAT(done.out, ContainsRegex("\\| my_rule_2 +\\|"));
}

TEST(RulesNew, NamesAreCheckedAndNothingIsOverwritten) {
  const TemporaryFolder folder;
  const ProcessOptions options{.folder = folder.path()};
  for (const std::string name : {"", "Rule", "2rule", "my-rule", "../rule", "a b", "rule.cc"}) {
    const Finished refused = run_mdnlab({"rules", "new", name}, options);
    EXPECT_EQ(refused.code, 2) << name;
    EXPECT_THAT(refused.err, HasSubstr("this is no name for a rule; found '" + name + "'"));
  }
  EXPECT_THAT(run_mdnlab({"rules", "new", "mdn"}, options).err,
              HasSubstr("a rule of this name exists; found 'mdn'"));
  EXPECT_TRUE(fs::is_empty(folder.path()));

  fs::create_directory(folder / "mine");
  const Finished taken = run_mdnlab({"rules", "new", "mine"}, options);
  EXPECT_EQ(taken.code, 2);
  EXPECT_THAT(taken.err, HasSubstr("mine: this is there already"));
  EXPECT_TRUE(fs::is_empty(folder / "mine"));
  const Finished nowhere = run_mdnlab({"rules", "new", "mine", "--directory", "no/where"}, options);
  EXPECT_EQ(nowhere.code, 2);
  EXPECT_THAT(nowhere.err, HasSubstr("cannot make the folder: No such file or directory"));

  const Finished elsewhere = run_mdnlab({"rules", "new", "other", "--directory", "mine"}, options);
  EXPECT_EQ(elsewhere.code, 0) << elsewhere.err;
  for (const char* file : {"other.cc", "meson.build", "README.md", "sweep.yaml"}) {
    const std::string text = read_text(folder / "mine/other" / file);
    EXPECT_THAT(text, HasSubstr("other")) << file;
    EXPECT_EQ(text.find("{{NAME"), std::string::npos) << file;
  }
}

}  // namespace
}  // namespace mdnlab
