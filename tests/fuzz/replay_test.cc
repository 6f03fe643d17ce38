// Every kept input of a fuzz target, without a fuzzer: argument 1 is the folder.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "target.h"

namespace {

std::filesystem::path folder;

TEST(FuzzCorpus, EveryInputIsReadOrRefused) {
  int inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().string());
    std::ifstream file(entry.path(), std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    EXPECT_NO_THROW(LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
    ++inputs;
  }
  EXPECT_GT(inputs, 5);
}

}  // namespace

int main(int count, char** words) {
  testing::InitGoogleTest(&count, words);
  folder = words[1];
  return RUN_ALL_TESTS();
}
