// Every tests/data/bad_*.yaml says in its first line what `mdnlab run` must say of it:
//   # expect CODE: the whole message
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "../unit/temporary_folder.h"
#include "process.h"

namespace mdnlab {
namespace {

namespace fs = std::filesystem;

fs::path data_folder() { return source_folder() / "tests/data"; }

std::vector<std::string> bad_files() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(data_folder())) {
    const std::string name = entry.path().filename();
    if (name.starts_with("bad_") && name.ends_with(".yaml")) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

struct Expectation {
  int code = -1;
  std::string message;
};

Expectation expectation_of(const std::string& name) {
  std::ifstream file(data_folder() / name, std::ios::binary);
  std::string line;
  std::getline(file, line);
  const std::string mark = "# expect ";
  const std::size_t colon = line.find(": ");
  if (!line.starts_with(mark) || colon == std::string::npos) return {};
  return {std::stoi(line.substr(mark.size())), line.substr(colon + 2)};
}

class BadInput : public testing::TestWithParam<std::string> {};

TEST_P(BadInput, IsRefusedInTheWordsItExpects) {
  const Expectation expected = expectation_of(GetParam());
  ASSERT_GT(expected.code, 0) << "the first line is `# expect CODE: message`";
  const TemporaryFolder folder;
  const Finished run =
      run_mdnlab({"run", GetParam(), "--db", folder / "results.db"}, {.folder = data_folder()});
  EXPECT_EQ(run.code, expected.code);
  EXPECT_EQ(run.err, "mdnlab: " + expected.message + "\n");
  EXPECT_EQ(run.out, "");
  EXPECT_TRUE(fs::is_empty(folder.path())) << "nothing is made before the whole file is read";
}

INSTANTIATE_TEST_SUITE_P(Files, BadInput, testing::ValuesIn(bad_files()),
                         [](const auto& info) { return info.param.substr(4, info.param.size() - 4 - 5); });

TEST(BadInput, HasManyFiles) { EXPECT_GT(bad_files().size(), 90u); }

}  // namespace
}  // namespace mdnlab
