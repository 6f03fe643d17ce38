#include "train/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../error_of.h"
#include "config/yaml.h"

namespace mdnlab {
namespace {

using testing::HasSubstr;

Params read(const std::string& text) { return read_train(parse_yaml(text, "train.yaml")); }

TEST(TrainOptions, TokensPerStepIsOneBatchUnlessGiven) {
  const Params train = read("{batch_size: 4, seq_len: 128, steps: 10}");
  EXPECT_EQ(train.integer("tokens_per_step"), 512);
  EXPECT_EQ(accumulation(train), 1);
}

TEST(TrainOptions, AccumulationFollowsFromTokensPerStep) {
  EXPECT_EQ(accumulation(read("{batch_size: 4, seq_len: 128, steps: 10, tokens_per_step: 2048}")), 4);
}

TEST(TrainOptions, TokensPerStepMustDivide) {
  const Error error =
      error_of([] { read("{batch_size: 4, seq_len: 128, steps: 10,\n tokens_per_step: 1000}"); });
  EXPECT_EQ(error.code(), Code::usage);
  EXPECT_THAT(error.what(), HasSubstr("train.yaml:2:"));
  EXPECT_THAT(error.what(), HasSubstr("a multiple of batch_size · seq_len = 512"));
}

TEST(TrainOptions, BetasAreTwoNumbersBelowOne) {
  EXPECT_THAT(error_of([] { read("{batch_size: 4, seq_len: 8, steps: 1, betas: [0.9]}"); }).what(),
              HasSubstr("betas"));
  EXPECT_THAT(error_of([] { read("{batch_size: 4, seq_len: 8, steps: 1, betas: [0.9, 1.0]}"); }).what(),
              HasSubstr("below 1"));
}

TEST(LearningRate, WarmsUpToThePeakThenFollowsTheCosine) {
  const Params train =
      read("{batch_size: 1, seq_len: 1, steps: 110, lr: 2, warmup_steps: 10, min_lr_ratio: 0.1}");
  EXPECT_DOUBLE_EQ(learning_rate(train, 0), 0.2);
  EXPECT_DOUBLE_EQ(learning_rate(train, 9), 2);
  EXPECT_DOUBLE_EQ(learning_rate(train, 10), 2);
  EXPECT_NEAR(learning_rate(train, 60), 2 * (0.1 + 0.9 * 0.5), 1e-12);
  EXPECT_NEAR(learning_rate(train, 110), 0.2, 1e-12);
  for (std::int64_t step = 10; step < 110; ++step)
    EXPECT_GE(learning_rate(train, step), learning_rate(train, step + 1));
}

}  // namespace
}  // namespace mdnlab
