// Checkpoints are of the moment they were asked for, whatever the training does while they are written.
#include "train/checkpoint_writer.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "../error_of.h"
#include "../temporary_folder.h"

namespace mdnlab {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

Checkpoint of(std::int64_t step, const at::Tensor& weight) {
  return {.step = step,
          .model = {{"weight", weight}},
          .optimizer = {{"exp_avg.weight", weight}},
          .state_json = "{}",
          .config_json = "{}"};
}

TEST(CheckpointWriter, KeepsTheValuesOfTheMomentItWasAsked) {
  const TemporaryFolder folder;
  CheckpointWriter writer(folder.path());
  const at::Tensor weight = at::full({1 << 20}, 1, at::kFloat);
  for (int step = 1; step <= 3; ++step) {
    weight.fill_(step);
    writer.write(of(step, weight));
    weight.fill_(-1);
  }
  writer.wait();
  const auto folders = checkpoint_folders(folder.path());
  ASSERT_THAT(folders, SizeIs(2));
  for (int step : {2, 3}) {
    const Checkpoint found = load_checkpoint(folders[static_cast<std::size_t>(3 - step)]);
    EXPECT_EQ(found.step, step);
    EXPECT_TRUE(at::equal(found.model.at("weight"), at::full({1 << 20}, step, at::kFloat)));
    EXPECT_TRUE(at::equal(found.optimizer.at("exp_avg.weight"), found.model.at("weight")));
  }
}

TEST(CheckpointWriter, IsDoneWhenItGoes) {
  const TemporaryFolder folder;
  CheckpointWriter(folder.path()).write(of(7, at::full({1 << 20}, 7, at::kFloat)));
  EXPECT_EQ(load_latest_checkpoint(folder.path()).checkpoint->step, 7);
}

TEST(CheckpointWriter, AFailureIsToldOnceAndTheNextWriteTriesAgain) {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "no folder";
  CheckpointWriter writer(folder / "file");
  const at::Tensor weight = at::full({4}, 1, at::kFloat);
  writer.write(of(1, weight));
  const Error error = error_of([&] {
    for (int i = 0; i < 1000; ++i) {
      writer.look();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  });
  EXPECT_THAT(error.what(), HasSubstr((folder / "file").string()));
  EXPECT_NO_THROW(writer.look());
  EXPECT_NO_THROW(writer.wait());
  std::filesystem::remove(folder / "file");
  writer.write(of(2, weight));
  writer.wait();
  EXPECT_EQ(load_latest_checkpoint(folder / "file").checkpoint->step, 2);
}

}  // namespace
}  // namespace mdnlab
