// The GPU's threads that have a row of logits, on the CPU, against LibTorch in float64.
#include "ops/cuda/cross_entropy_run.cuh"

#include <ATen/ops/arange.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/one_hot.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>

#include "run_on_cpu.h"

namespace mdnlab::ops {
namespace {

// The losses; the logits become their gradient, or stay.
at::Tensor run(const at::Tensor& logits, const at::Tensor& labels, int lanes, bool differentiate) {
  const at::Tensor losses = unwritten({logits.size(0)});
  const cuda::CrossEntropy in{.rows = logits.size(0),
                              .stride = logits.stride(0),
                              .V = static_cast<int>(logits.size(1)),
                              .differentiate = differentiate,
                              .no_label = -100,
                              .label_N = labels.const_data_ptr<std::int64_t>(),
                              .x_NV = logits.mutable_data_ptr(),
                              .loss_N = losses.mutable_data_ptr<float>()};
  cuda::Team(lanes).run([&](std::int64_t lane) {
    for (std::int64_t row = 0; row < in.rows; ++row)
      cuda::CrossEntropyRow<float, cuda::Cpu>(in, row, static_cast<int>(lane), lanes).run();
  });
  return losses;
}

// Rows of V logits that lie `stride` apart; 7.5 lies between.
at::Tensor rows_of(const at::Tensor& logits, std::int64_t stride) {
  const at::Tensor space = at::full({logits.size(0), stride}, 7.5, at::kFloat);
  space.narrow(1, 0, logits.size(1)).copy_(logits);
  return space.narrow(1, 0, logits.size(1));
}

void expect_losses_and_gradient(const at::Tensor& given, const at::Tensor& labels, std::int64_t stride) {
  const std::int64_t V = given.size(1);
  SCOPED_TRACE(testing::Message() << given.sizes() << ", stride " << stride);
  const at::Tensor log_p = at::log_softmax(given.to(at::kDouble), -1),
                   expected = -log_p.gather(1, labels.unsqueeze(1)).squeeze(1);
  for (const int lanes : {1, 3, 4}) {
    const at::Tensor logits = rows_of(given, stride);
    expect_close("loss alone", run(logits, labels, lanes, false), expected);
    EXPECT_TRUE(logits.equal(given)) << "without a gradient nothing is written";
    expect_close("loss", run(logits, labels, lanes, true), expected);
    expect_close("gradient", logits, log_p.exp() - at::one_hot(labels, V));
    const at::Tensor between = logits.as_strided({given.size(0), stride - V}, {stride, 1}, V);
    EXPECT_TRUE((between == 7.5).all().item<bool>()) << "what lies between rows";
  }
}

// More than one turn of eight quads a thread, the rest of one, a row within one quad; labels at both ends.
TEST(CrossEntropyRun, IsTheLossAndItsGradient) {
  for (const std::int64_t V : {1, 2, 3, 4, 5, 7, 8, 31, 32, 33, 63, 64, 127, 131, 200, 517}) {
    const at::Tensor labels = at::tensor(at::IntArrayRef{0, V - 1, V / 2, V / 3, V > 4 ? V / 4 * 4 - 1 : 0});
    const at::Tensor logits = at::randn({5, V}) * 3;
    for (const std::int64_t stride : {(V + 3) / 4 * 4, (V + 63) / 64 * 64})
      expect_losses_and_gradient(logits, labels, stride);
  }
}

TEST(CrossEntropyRun, ShiftsOfALineAndSurePredictionsAreExact) {
  const at::Tensor labels = at::arange(4) * 5, steep = at::randn({4, 37});
  steep.scatter_(1, labels.unsqueeze(1), 40);
  expect_losses_and_gradient(steep, labels, 40);
  expect_losses_and_gradient(steep + 3e4, labels, 40);
  expect_losses_and_gradient(steep - 3e4, labels, 40);
  expect_losses_and_gradient(-steep, labels, 40);
  at::Tensor masked = at::randn({4, 37});
  masked.narrow(1, 20, 9).fill_(-std::numeric_limits<float>::infinity());
  expect_losses_and_gradient(masked, labels, 40);
}

TEST(CrossEntropyRun, ARowWithoutALabelCountsNothing) {
  for (const std::int64_t V : {3, 32, 131}) {
    const at::Tensor given = at::randn({3, V}) * 3, labels = at::tensor(at::IntArrayRef{-100, V - 1, -100});
    for (const int lanes : {1, 3, 4}) {
      const at::Tensor logits = rows_of(given, (V + 3) / 4 * 4), others = rows_of(given, (V + 3) / 4 * 4);
      const at::Tensor losses = run(logits, labels, lanes, true);
      run(others, at::full({3}, V - 1, at::kLong), lanes, true);
      EXPECT_EQ(losses[0].item<float>(), 0);
      EXPECT_GT(losses[1].item<float>(), 0);
      EXPECT_TRUE((logits[0] == 0).all().item<bool>() && (logits[2] == 0).all().item<bool>());
      EXPECT_TRUE(logits[1].equal(others[1]));
    }
  }
}

TEST(CrossEntropyRun, WhatIsNotFiniteOrNoWordShowsInTheLoss) {
  const float infinity = std::numeric_limits<float>::infinity();
  const at::Tensor logits = rows_of(at::randn({6, 21}), 24);
  logits[0][20] = std::numeric_limits<float>::quiet_NaN();
  logits[1][3] = infinity;
  logits[2].fill_(-infinity);
  const at::Tensor losses =
      run(logits, at::tensor(at::IntArrayRef{1, 2, 3, -1, 21, std::int64_t{1} << 40}), 2, true);
  EXPECT_FALSE(losses.isfinite().any().item<bool>()) << losses;
}

}  // namespace
}  // namespace mdnlab::ops
