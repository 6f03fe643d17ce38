#include "train/trainer.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "../error_of.h"
#include "../temporary_folder.h"
#include "config/yaml.h"
#include "train/options.h"
#include "uneven_labels.h"

namespace mdnlab {
namespace {

struct Training {
  Training(const std::string& train, const std::string& rule = "mdn", const char* dtype = "f64")
      : options(read_train(parse_yaml(train, "train"))),
        model(read_model(
                  parse_yaml(
                      "rule: " + rule +
                          "\nmodel: {hidden_size: 16, num_hidden_layers: 2, num_heads: 2, hidden_ratio: 1}",
                      "model"),
                  plugins),
              plugins, 16, dtype_of(dtype), 5),
        trainer(model, task, options, folder.path(), "{}") {
    at::set_num_threads(1);
  }

  std::vector<at::Tensor> weights() const {
    std::vector<at::Tensor> list;
    for (const Parameter& parameter : model.parameters()) list.push_back(parameter.tensor.detach().clone());
    return list;
  }

  Plugins plugins;
  UnevenLabels task;
  Params options;
  LanguageModel model;
  TemporaryFolder folder;
  Trainer trainer;
};

TEST(Trainer, AccumulatedBatchesStepAsOneBatch) {
  Training one("{batch_size: 8, seq_len: 12, steps: 5, lr: 1e-2}");
  Training four("{batch_size: 2, seq_len: 12, steps: 5, lr: 1e-2, tokens_per_step: 96}");
  for (int step = 0; step < 3; ++step) {
    const StepResult whole = one.trainer.step(), parts = four.trainer.step();
    EXPECT_NEAR(whole.loss, parts.loss, 1e-12);
    EXPECT_NEAR(whole.grad_norm, parts.grad_norm, 1e-11);
  }
}

TEST(Trainer, WeightDecayLeavesGatesNormsAndBiasesAlone) {
  Training with("{batch_size: 2, seq_len: 12, steps: 5, lr: 1e-2, weight_decay: 0.5}");
  Training without("{batch_size: 2, seq_len: 12, steps: 5, lr: 1e-2, weight_decay: 0}");
  with.trainer.step();
  without.trainer.step();
  int decayed = 0, kept = 0;
  for (std::size_t i = 0; i < with.model.parameters().size(); ++i) {
    const Parameter &a = with.model.parameters()[i], &b = without.model.parameters()[i];
    const bool same = at::allclose(a.tensor, b.tensor, 0, 1e-15);
    const bool is_matrix = a.tensor.dim() >= 2;
    EXPECT_EQ(same, !is_matrix) << a.name;
    ++(same ? kept : decayed);
  }
  EXPECT_GT(decayed, 10);
  EXPECT_GT(kept, 10);
}

TEST(Trainer, ClipsTheGlobalNorm) {
  Training free("{batch_size: 2, seq_len: 12, steps: 5, lr: 1e-2, max_norm: 0}");
  Training clipped("{batch_size: 2, seq_len: 12, steps: 5, lr: 1e-2, max_norm: 1e-3}");
  const double norm = free.trainer.step().grad_norm;
  EXPECT_GT(norm, 1e-2);
  EXPECT_DOUBLE_EQ(clipped.trainer.step().grad_norm, norm) << "the norm before clipping is reported";
}

TEST(Trainer, LearnsInEveryDtype) {
  for (const char* dtype : {"f32", "f64", "bf16"}) {
    Training training("{batch_size: 8, seq_len: 12, steps: 60, lr: 1e-2, tokens_per_step: 96}", "mdn", dtype);
    const double before = training.trainer.step().loss;
    double after = before;
    for (int step = 0; step < 40; ++step) after = training.trainer.step().loss;
    EXPECT_NEAR(before, std::log(16), 0.3) << dtype;
    EXPECT_LT(after, 0.5 * before) << dtype;
  }
}

struct NoSink final : Sink {
  void metric(std::int64_t, std::string_view, double) override {}
  void score(const Score&) override {}
};

TEST(Trainer, ACheckpointThatCannotBeWrittenEndsTheTraining) {
  Training training("{batch_size: 2, seq_len: 12, steps: 1000, checkpoint_every: 2}");
  std::filesystem::remove(training.folder.path());
  std::ofstream(training.folder.path()) << "no folder";
  NoSink sink;
  std::int64_t steps = 0;
  const Error error = error_of([&] {
    training.trainer.train(sink, {.progress = [&](const TrainingProgress& now) { steps = now.step; }});
  });
  EXPECT_THAT(error.what(), testing::HasSubstr(training.folder.path().string()));
  EXPECT_LT(steps, 900) << "it is told while the training goes on";
}

}  // namespace
}  // namespace mdnlab
