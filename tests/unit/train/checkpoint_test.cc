#include "train/checkpoint.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "../temporary_folder.h"
#include "base/error.h"
#include "base/file.h"

namespace mdnlab {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::vector<std::string> all_files{"SHA256SUMS", "config.json", "model.safetensors",
                                         "optimizer.safetensors", "state.json"};

Checkpoint sample(std::int64_t step) {
  return {.step = step,
          .model = {{"embedding.weight", at::arange(60, at::kFloat).div(7).reshape({12, 5})},
                    {"layers.0.gate.weight", at::full({3}, step, at::kBFloat16)}},
          .optimizer = {{"embedding.weight.exp_avg", at::full({12, 5}, -1e-30, at::kFloat)}},
          .state_json = R"({"step":)" + std::to_string(step) + R"(,"random":"8f"})",
          .config_json = R"({"rule":"mdn"})"};
}

void expect_same_tensors(const TensorMap& found, const TensorMap& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_EQ(found.count(name), 1u) << name;
    EXPECT_EQ(found.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(found.at(name), tensor)) << name;
  }
}

void expect_same(const Checkpoint& found, const Checkpoint& expected) {
  EXPECT_EQ(found.step, expected.step);
  expect_same_tensors(found.model, expected.model);
  expect_same_tensors(found.optimizer, expected.optimizer);
  EXPECT_EQ(found.state_json, expected.state_json);
  EXPECT_EQ(found.config_json, expected.config_json);
}

// Without the fsync of write_file.
void overwrite(const fs::path& file, const std::string& content) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

class CheckpointTest : public ::testing::Test {
 protected:
  TemporaryFolder temporary_;
  const fs::path run_ = temporary_ / "lab.runs/0123abcd";
};

TEST_F(CheckpointTest, ComesBackAsItWas) {
  const fs::path folder = save_checkpoint(run_, sample(123));
  EXPECT_EQ(folder, run_ / "step-000000123");
  EXPECT_EQ(names_in(folder), all_files);
  const LatestCheckpoint latest = load_latest_checkpoint(run_);
  ASSERT_TRUE(latest.checkpoint);
  EXPECT_EQ(latest.folder, folder);
  EXPECT_THAT(latest.refused, IsEmpty());
  expect_same(*latest.checkpoint, sample(123));
}

TEST_F(CheckpointTest, EqualCheckpointsAreEqualBytes) {
  const fs::path one = save_checkpoint(temporary_ / "one", sample(5));
  const fs::path two = save_checkpoint(temporary_ / "two", sample(5));
  for (const std::string& name : all_files) EXPECT_EQ(read_file(one / name), read_file(two / name)) << name;
}

TEST_F(CheckpointTest, Sha256sumVerifiesTheFolder) {
  const fs::path folder = save_checkpoint(run_, sample(1));
  const std::string command = "cd '" + folder.string() + "' && sha256sum --check --strict --quiet SHA256SUMS";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST_F(CheckpointTest, StepsAreNumbersOfAnyLength) {
  EXPECT_EQ(save_checkpoint(run_, sample(0)).filename(), "step-000000000");
  EXPECT_EQ(save_checkpoint(run_, sample(12345678901)).filename(), "step-12345678901");
  EXPECT_EQ(load_latest_checkpoint(run_).checkpoint->step, 12345678901);
}

TEST_F(CheckpointTest, NothingSavedIsNothingLoaded) {
  EXPECT_FALSE(load_latest_checkpoint(run_).checkpoint);
  fs::create_directories(run_ / "step-12");  // too short: no checkpoint's name
  fs::create_directories(run_ / ".writing-step-000000009");
  EXPECT_THAT(checkpoint_folders(run_), IsEmpty());
  const LatestCheckpoint latest = load_latest_checkpoint(run_);
  EXPECT_FALSE(latest.checkpoint);
  EXPECT_THAT(latest.refused, IsEmpty());
}

TEST_F(CheckpointTest, TheLastTwoAreKept) {
  for (const std::int64_t step : {10, 20, 30, 40}) save_checkpoint(run_, sample(step));
  EXPECT_THAT(names_in(run_), ElementsAre("step-000000030", "step-000000040"));
}

TEST_F(CheckpointTest, ACheckpointOfTheSameStepIsReplaced) {
  save_checkpoint(run_, sample(10));
  Checkpoint other = sample(10);
  other.state_json = "{}";
  save_checkpoint(run_, other);
  EXPECT_THAT(names_in(run_), ElementsAre("step-000000010"));
  expect_same(*load_latest_checkpoint(run_).checkpoint, other);
}

// After a damaged checkpoint a run goes on from an earlier one: what it writes then is the newest.
TEST_F(CheckpointTest, LaterStepsOfAnAbandonedHistoryAreRemoved) {
  for (const std::int64_t step : {10, 20}) save_checkpoint(run_, sample(step));
  save_checkpoint(run_, sample(15));
  EXPECT_THAT(names_in(run_), ElementsAre("step-000000010", "step-000000015"));
}

class DamagedFile : public CheckpointTest, public ::testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    save_checkpoint(run_, sample(10));
    file_ = save_checkpoint(run_, sample(20)) / GetParam();
  }

  // The newer checkpoint is refused because of `file_`, and the older one loads.
  void expect_refused(const std::string& reason) {
    const LatestCheckpoint latest = load_latest_checkpoint(run_);
    ASSERT_THAT(latest.refused, SizeIs(1));
    EXPECT_THAT(latest.refused[0], HasSubstr(reason));
    EXPECT_THAT(latest.refused[0], HasSubstr("step-000000020/"));
    ASSERT_TRUE(latest.checkpoint);
    expect_same(*latest.checkpoint, sample(10));
  }

  fs::path file_;
};

TEST_P(DamagedFile, AFlippedByteAnywhereIsRefused) {
  const std::string whole = read_file(file_);
  const std::size_t stride = std::max<std::size_t>(whole.size() / 40, 1);
  for (std::size_t at = 0; at < whole.size(); at += stride) {
    SCOPED_TRACE("byte " + std::to_string(at));
    std::string flipped = whole;
    flipped[at] ^= 0x10;
    overwrite(file_, flipped);
    // A digest that was flipped accuses the file it stands for.
    expect_refused(GetParam() == "SHA256SUMS" ? "the checkpoint is damaged: "
                                              : GetParam() + ": the checkpoint is damaged");
  }
}

TEST_P(DamagedFile, ATruncatedFileIsRefused) {
  const std::string whole = read_file(file_);
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, whole.size() / 2, whole.size() - 2}) {
    overwrite(file_, whole.substr(0, bytes));
    expect_refused(GetParam() + ": the checkpoint is damaged");
  }
}

TEST_P(DamagedFile, AMissingFileIsRefused) {
  fs::remove(file_);
  expect_refused(GetParam() + ": the checkpoint is incomplete: the file is missing");
}

INSTANTIATE_TEST_SUITE_P(Each, DamagedFile, ::testing::ValuesIn(all_files),
                         [](const auto& info) { return info.param.substr(0, info.param.find('.')); });

TEST_F(CheckpointTest, ARefusalNamesBothDigests) {
  const fs::path folder = save_checkpoint(run_, sample(10));
  const std::string expected = sha256_file(folder / "state.json");
  overwrite(folder / "state.json", "{}");
  try {
    load_checkpoint(folder);
    FAIL() << "loaded without complaint";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::failed);
    EXPECT_EQ(std::string(error.what()),
              (folder / "state.json").string() +
                  ": the checkpoint is damaged: the file has another SHA-256; found " + sha256("{}") +
                  ", expected " + expected);
  }
}

TEST_F(CheckpointTest, WithoutAnIntactOneEachRefusalIsSaid) {
  for (const std::int64_t step : {10, 20}) fs::remove(save_checkpoint(run_, sample(step)) / "config.json");
  const LatestCheckpoint latest = load_latest_checkpoint(run_);
  EXPECT_FALSE(latest.checkpoint);
  EXPECT_THAT(latest.refused,
              ElementsAre(HasSubstr("step-000000020/config.json"), HasSubstr("step-000000010/config.json")));
}

TEST_F(CheckpointTest, MatchingDigestsOfBadTensorsAreRefusedToo) {
  save_checkpoint(run_, sample(10));
  const fs::path folder = save_checkpoint(run_, sample(20));
  std::string sums = read_file(folder / "SHA256SUMS");
  sums.replace(0, 64, sha256("no tensors"));
  overwrite(folder / "model.safetensors", "no tensors");
  overwrite(folder / "SHA256SUMS", sums);
  const LatestCheckpoint latest = load_latest_checkpoint(run_);
  EXPECT_THAT(latest.refused, ElementsAre(HasSubstr("step-000000020/model.safetensors")));
  EXPECT_EQ(latest.checkpoint->step, 10);
}

TEST_F(CheckpointTest, AFolderOfAnotherNameIsNoCheckpoint) {
  fs::rename(save_checkpoint(run_, sample(10)), run_ / "mine");
  EXPECT_THROW(load_checkpoint(run_ / "mine"), Error);
}

// What a kill leaves: the temporary folder with the first files of the next checkpoint, the last one cut.
TEST_F(CheckpointTest, AKillWhileWritingCostsNothing) {
  const fs::path whole = save_checkpoint(temporary_ / "other", sample(20));
  const std::vector<std::string> written{"model.safetensors", "optimizer.safetensors", "state.json",
                                         "config.json", "SHA256SUMS"};
  for (std::size_t count = 0; count <= written.size(); ++count) {
    SCOPED_TRACE(count);
    save_checkpoint(run_, sample(10));
    const fs::path partial = run_ / ".writing-step-000000020";
    fs::create_directories(partial);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string content = read_file(whole / written[i]);
      overwrite(partial / written[i], i + 1 < count ? content : content.substr(0, content.size() / 2));
    }
    const LatestCheckpoint latest = load_latest_checkpoint(run_);
    EXPECT_THAT(latest.refused, IsEmpty());
    EXPECT_EQ(latest.checkpoint->step, 10);

    save_checkpoint(run_, sample(20));
    EXPECT_THAT(names_in(run_), ElementsAre("step-000000010", "step-000000020"));
    expect_same(*load_latest_checkpoint(run_).checkpoint, sample(20));
  }
}

TEST_F(CheckpointTest, AFolderThatCannotBeMadeIsNamed) {
  overwrite(temporary_ / "lab.runs", "a file stands where the folder should be");
  try {
    save_checkpoint(run_, sample(1));
    FAIL() << "saved without complaint";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::failed);
    EXPECT_THAT(error.what(), HasSubstr(run_.string() + ": cannot create the folder: Not a directory"));
  }
}

// A file system of 256 KiB, which only the calling thread sees and which ends with it.
bool mount_small_disk(const fs::path& folder) {
  return ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=256k") == 0;
}

TEST_F(CheckpointTest, AFullDiskIsSaidAndLeavesTheEarlierCheckpoint) {
  bool mounted = false;
  std::thread([&] {
    mounted = mount_small_disk(temporary_.path());
    if (!mounted) return;
    save_checkpoint(run_, sample(10));
    Checkpoint large = sample(20);
    large.model["large"] = at::zeros({1 << 20}, at::kFloat);
    try {
      save_checkpoint(run_, large);
      ADD_FAILURE() << "saved onto a full disk";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::store);
      EXPECT_THAT(error.what(), HasSubstr("model.safetensors"));
      EXPECT_THAT(error.what(), HasSubstr("No space left on device"));
    }
    EXPECT_THAT(names_in(run_), ElementsAre("step-000000010"));
    expect_same(*load_latest_checkpoint(run_).checkpoint, sample(10));
  }).join();
  if (!mounted) GTEST_SKIP() << "mounting a small file system needs root";
}

}  // namespace
}  // namespace mdnlab
