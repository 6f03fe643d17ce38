#include "base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "../error_of.h"
#include "../temporary_folder.h"
#include "base/error.h"

namespace mdnlab {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(File, ReadsWhatWasWritten) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "a";
  const std::string content = std::string("x\0y\r\n", 5) + std::string(1 << 20, 'z');
  write_file(path, content);
  EXPECT_EQ(read_file(path), content);
  write_file(path, "short");
  EXPECT_EQ(read_file(path), "short");
  write_file(path, "");
  EXPECT_EQ(read_file(path), "");
}

TEST(File, NamesThePathAndTheCause) {
  const TemporaryFolder folder;
  const fs::path missing = folder.path() / "no" / "file";
  const Error unread = error_of([&] { read_file(missing); });
  EXPECT_EQ(unread.code(), Code::usage);
  EXPECT_STREQ(unread.what(),
               (missing.string() + ": cannot read the file: No such file or directory").c_str());
  EXPECT_THAT(error_of([&] { read_file(folder.path()); }).what(), HasSubstr("Is a directory"));
  EXPECT_THAT(error_of([&] { write_file(missing, ""); }).what(),
              HasSubstr("cannot write the file: No such file"));
  EXPECT_THAT(error_of([&] { MappedFile{missing}; }).what(), HasSubstr("cannot map the file: No such file"));
  EXPECT_THAT(error_of([&] { sha256_file(missing); }).what(),
              HasSubstr("cannot read the file: No such file"));
  EXPECT_THAT(error_of([&] { sync_folder(missing); }).what(),
              HasSubstr("cannot open the folder: No such file"));
}

TEST(File, AFullDiskIsAnErrorOfTheStore) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const Error error = error_of([] { write_file("/dev/full", "x"); });
  EXPECT_EQ(error.code(), Code::store);
  EXPECT_STREQ(error.what(), "/dev/full: cannot write the file: No space left on device");
}

TEST(File, ReplaceLeavesOneFile) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "a";
  replace_file(path, "old");
  replace_file(path, "new");
  EXPECT_EQ(read_file(path), "new");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(File, ReplaceKeepsTheOldFileWhenItFails) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "a";
  fs::create_directory(path);
  write_file(path / "inner", "kept");
  EXPECT_THAT(error_of([&] { replace_file(path, "new"); }).what(), HasSubstr("cannot replace the file"));
  EXPECT_EQ(read_file(path / "inner"), "kept");
  EXPECT_EQ(files_in(folder.path()), 1u);  // no temporary file stays behind
}

TEST(File, ReadersOfAReplacedFileSeeOldOrNew) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "a";
  const std::string contents[] = {std::string(100000, 'a'), std::string(50000, 'b')};
  replace_file(path, contents[0]);
  int seen = 0;
  {
    std::jthread writer([&](std::stop_token stop) {
      for (int i = 0; !stop.stop_requested(); ++i) replace_file(path, contents[i % 2]);
    });
    for (; seen < 300; ++seen) {
      const std::string read = read_file(path);
      if (read != contents[0] && read != contents[1]) break;
    }
  }
  EXPECT_EQ(seen, 300);
}

TEST(File, ReplaceWorksInTheCurrentFolder) {
  const TemporaryFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  replace_file("bare", "x");
  EXPECT_EQ(read_file("bare"), "x");
  fs::current_path(before);
}

TEST(MappedFile, ShowsTheWholeFile) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "a";
  write_file(path, std::string("ab\0c", 4));
  const MappedFile map(path);
  EXPECT_EQ(map.text(), std::string_view("ab\0c", 4));
  EXPECT_EQ(map.bytes().size(), 4u);
  EXPECT_EQ(map.bytes()[3], std::byte{'c'});
}

TEST(MappedFile, SurvivesMovesAndReplacement) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "a";
  write_file(path, "first");
  MappedFile first(path);
  replace_file(path, "second");
  MappedFile second(path);
  MappedFile moved(std::move(first));
  EXPECT_EQ(moved.text(), "first");
  EXPECT_TRUE(first.bytes().empty());  // NOLINT: a moved-from map is empty
  second = std::move(moved);
  EXPECT_EQ(second.text(), "first");
}

TEST(MappedFile, AnEmptyFileIsAnEmptySpan) {
  const TemporaryFolder folder;
  write_file(folder.path() / "a", "");
  EXPECT_TRUE(MappedFile(folder.path() / "a").bytes().empty());
}

TEST(MappedFile, RefusesWhatIsNoRegularFile) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { MappedFile{folder.path()}; }).what(), HasSubstr("it is no regular file"));
}

TEST(Sha256, KnownVectors) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesAndFilesGiveTheSame) {
  const TemporaryFolder folder;
  const std::string content(700000, 'q');
  Digest digest;
  digest.add(std::string_view(content).substr(0, 1));
  digest.add("");
  digest.add(std::string_view(content).substr(1));
  const std::string whole = sha256(content);
  EXPECT_EQ(digest.hex(), whole);
  write_file(folder.path() / "a", content);
  EXPECT_EQ(sha256_file(folder.path() / "a"), whole);
}

}  // namespace
}  // namespace mdnlab
