#include "run/utilisation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

namespace mdnlab {
namespace {

using testing::ElementsAre;

struct Recorded final : Sink {
  void metric(std::int64_t step, std::string_view name, double value) override {
    metrics.emplace_back(step, name, value);
  }
  void score(const Score& score) override { scores.push_back(score.metric); }

  std::vector<std::tuple<std::int64_t, std::string, double>> metrics;
  std::vector<std::string> scores;
};

TEST(Utilisation, OnACpuAddsNothing) {
  Recorded recorded;
  UtilisationSink sink(recorded, c10::kCPU, 1e9, peak_flops(c10::kCPU, at::kBFloat16));
  sink.metric(1, "train/tokens_per_second", 1000);
  sink.score({.metric = "accuracy"});
  EXPECT_THAT(recorded.metrics, ElementsAre(std::tuple(1, std::string("train/tokens_per_second"), 1000)));
  EXPECT_THAT(recorded.scores, ElementsAre("accuracy"));
}

TEST(Utilisation, IsTheShareOfTheCardsRateThatTheModelsProductsTake) {
  Recorded recorded;
  UtilisationSink sink(recorded, c10::kCPU, 2.295e9, 989.4e12);
  sink.metric(7, "train/loss", 3);
  sink.metric(7, "train/tokens_per_second", 150'000);
  ASSERT_EQ(recorded.metrics.size(), 3u);
  EXPECT_EQ(std::get<1>(recorded.metrics[2]), "train/mfu");
  EXPECT_NEAR(std::get<2>(recorded.metrics[2]), 0.348, 0.001);
}

}  // namespace
}  // namespace mdnlab
