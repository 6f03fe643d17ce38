#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "../temporary_folder.h"
#include "include_check.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Tree {
 public:
  void add(const std::string& file, const std::string& content) {
    const std::filesystem::path path = folder_.path() / file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << content;
  }
  std::vector<std::string> mistakes() const { return check_includes(folder_.path()).mistakes; }

 private:
  TemporaryFolder folder_;
};

TEST(Layers, TheTreeHasNoUpwardInclude) {
  const char* source = std::getenv("MDNLAB_SOURCE");
  ASSERT_NE(source, nullptr) << "run through `meson test`, which sets MDNLAB_SOURCE";
  const IncludeReport report = check_includes(source);
  EXPECT_THAT(report.mistakes, IsEmpty());
  EXPECT_GT(report.files, 30u);
  EXPECT_GT(report.includes, 30u);
}

TEST(Layers, EveryFolderOfTheSourceIsARoom) {
  const char* source = std::getenv("MDNLAB_SOURCE");
  ASSERT_NE(source, nullptr);
  Tree tree;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(source) / "src")) {
    if (entry.is_directory()) tree.add("src" / entry.path().filename() / "a.cc", "#include <vector>\n");
  }
  EXPECT_THAT(tree.mistakes(), IsEmpty());
}

TEST(Layers, DownwardAndOwnIncludesPass) {
  Tree tree;
  tree.add("src/rule/a.cc",
           "#include \"rule/a.h\"\n#include \"ops/b.h\"\n#include \"scan/c.h\"\n#include <vector>\n");
  tree.add("src/ops/b.cc", "  #  include \"scan/chunk.h\"\n");
  tree.add("src/scan/cuda/chunk.cu", "#include \"scan/cuda/params.cuh\"\n#include <ATen/core/Tensor.h>\n");
  tree.add("src/cli/main.cc", "#include \"report/table.h\"\n#include \"train/trainer.h\"\n");
  EXPECT_THAT(tree.mistakes(), IsEmpty());
}

TEST(Layers, UpwardIncludeIsNamedWithFileAndLine) {
  Tree tree;
  tree.add("src/base/a.cc", "#include \"base/a.h\"\n\n#include \"config/yaml.h\"  // upward\n");
  EXPECT_THAT(tree.mistakes(),
              ElementsAre("src/base/a.cc:3: 'base' may not include 'config', which is not above it"));
}

TEST(Layers, ScanDoesNotSeeOps) {
  Tree tree;
  tree.add("src/scan/deep/er/a.h", "#include \"ops/norm.h\"\n");
  EXPECT_THAT(tree.mistakes(),
              ElementsAre("src/scan/deep/er/a.h:1: 'scan' may not include 'ops', which is not above it"));
}

TEST(Layers, TrainEvalAndCheckDoNotSeeEachOther) {
  for (const std::string room : {"train", "eval", "check"}) {
    for (const std::string other : {"train", "eval", "check"}) {
      Tree tree;
      tree.add("src/" + room + "/a.cc", "#include \"" + other + "/b.h\"\n");
      EXPECT_EQ(tree.mistakes().empty(), room == other) << room << " including " << other;
    }
  }
}

TEST(Layers, AngleBracketsAreNoWayAround) {
  Tree tree;
  tree.add("src/train/a.cc", "#include <store/store.h>\n");
  EXPECT_THAT(tree.mistakes(),
              ElementsAre("src/train/a.cc:1: 'train' may not include 'store', which is not above it"));
}

TEST(Layers, UnknownRoomsAndBareNamesAreMistakes) {
  Tree tree;
  tree.add("src/base/a.cc", "#include \"a.h\"\n#include \"utils/b.h\"\n");
  tree.add("src/utils/c.cc", "#include <vector>\n");
  EXPECT_THAT(tree.mistakes(),
              ElementsAre("src/base/a.cc:1: \"a.h\" is in no room; write \"room/file.h\"",
                          "src/base/a.cc:2: \"utils/b.h\" is in no room; write \"room/file.h\"",
                          "src/utils/c.cc:1: 'utils' is no room; see src/README.md"));
}

TEST(Layers, PluginsSeeTheirRoomsAndTheirOwnFolder) {
  Tree tree;
  tree.add(
      "plugins/mdn/rule.cc",
      "#include \"rule/rule.h\"\n#include \"config/params.h\"\n#include \"gates.h\"\n#include <cmath>\n");
  tree.add("plugins/mdn/gates.h", "#include \"scan/chunk.h\"\n");
  EXPECT_THAT(tree.mistakes(), IsEmpty());
}

TEST(Layers, PluginsSeeNoOtherRoomAndNoOtherPlugin) {
  Tree tree;
  tree.add("plugins/mdn/gates.h", "\n");
  tree.add("plugins/other/rule.cc",
           "#include \"model/language_model.h\"\n#include \"mdn/gates.h\"\n#include \"../mdn/gates.h\"\n");
  EXPECT_THAT(
      tree.mistakes(),
      ElementsAre("plugins/other/rule.cc:1: a plugin may not include 'model'",
                  "plugins/other/rule.cc:2: \"mdn/gates.h\" is in no room and not beside the plugin",
                  "plugins/other/rule.cc:3: \"../mdn/gates.h\" is in no room and not beside the plugin"));
}

}  // namespace
}  // namespace mdnlab
