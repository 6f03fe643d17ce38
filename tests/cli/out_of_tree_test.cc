// plugins/README.md's example, built outside the tree against an installation, found and trained.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
            .environment = {{"PATH", program_.parent_path().string() + ":" + std::getenv("PATH")},
                            {"PKG_CONFIG_PATH", package_.parent_path().string()},
                            {"LD_LIBRARY_PATH", ""}},  // Meson names the build tree there
            .timeout = std::chrono::seconds(240)};
  }

 private:
  TemporaryFolder folder_;
  fs::path program_, package_;
};

TEST(OutOfTreePlugin, IsBuiltFoundAndTrainedAsItsReadmeSays) {
  for (const char* program : {"c++", "pkg-config"}) {
    if (!is_found(program)) GTEST_SKIP() << "there is no " << program;
  }
  const Installation installation;
  const TemporaryFolder folder;
  const std::string readme = read_text(source_folder() / "plugins/README.md");
  for (const char* language : {"cpp", "yaml"}) {
    const std::vector<Block> files = blocks(readme, language);
    ASSERT_THAT(files, SizeIs(1));
    ASSERT_NE(files[0].name, "");
    write_blocks(files, folder.path());
  }
  const std::vector<Block> scripts = blocks(readme, "sh");
  ASSERT_THAT(scripts, SizeIs(2));

  const Finished built = run({"sh", "-euc", scripts[0].content}, installation.options(folder.path()));
  ASSERT_EQ(built.code, 0) << built.err;
  EXPECT_EQ(built.err, "") << "no warning either";
  EXPECT_THAT(
      built.out,
      AllOf(ContainsRegex(
                "leaky +1 +no +no +scalar +constant +a memory that leaks at a learned rate +leaky.so"),
            ContainsRegex("\nmdn +"), HasSubstr("| half_life_log"),
            HasSubstr("tokens after which half is left")));

  const Finished trained = run({"sh", "-euc", scripts[1].content}, installation.options(folder.path()));
  EXPECT_EQ(trained.code, 0) << trained.err;
  EXPECT_THAT(trained.err, HasSubstr("2 done now, 0 failed"));
  EXPECT_THAT(trained.out, ContainsRegex("\\| leaky +\\|"));

  // By name on the command line it reaches the workers as well; without it the rule is unknown.
  const Finished named =
      run({"sh", "-c", "mdnlab run leaky.yaml --plugin leaky.so --db named.db --only rule.half_life=4"},
          installation.options(folder.path()));
  EXPECT_EQ(named.code, 0) << named.err;
  const Finished without = run({"sh", "-c", "mdnlab plan leaky.yaml"}, installation.options(folder.path()));
  EXPECT_EQ(without.code, 2);
  EXPECT_THAT(without.err, HasSubstr("unknown rule; found 'leaky'"));
}

}  // namespace
}  // namespace mdnlab
