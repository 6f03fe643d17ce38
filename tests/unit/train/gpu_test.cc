// The same training on a GPU: it follows the CPU's, and each goes on from the other's checkpoint. Skipped
// where there is no GPU.
#include "base/gpu.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "../temporary_folder.h"
#include "config/yaml.h"
#include "random_documents.h"
#include "scan/cuda_module.h"
#include "train/options.h"
#include "train/trainer.h"
#include "uneven_labels.h"

namespace mdnlab {
namespace {

const at::Device kGpu(at::kCUDA, 0);

class TrainingOnAGpu : public testing::Test {
 protected:
  // LibTorch looks for its CUDA half once, at the first tensor.
  static void SetUpTestSuite() { scan::cuda_module(); }
  void SetUp() override {
    if (!gpu_facts().trouble.empty()) GTEST_SKIP() << gpu_facts().trouble;
    ASSERT_NO_THROW(scan::require_gpu(kGpu));
  }
};

template <class OneTask>
struct TrainingOf {
  TrainingOf(const std::filesystem::path& folder, at::Device device, const char* dtype,
             const char* train = "{batch_size: 8, seq_len: 12, steps: 40, lr: 1e-2, checkpoint_every: 20}",
             const std::string& layers = "[mdn, {name: mamba2, state_size: 64}, kda, attention]",
             const OneTask& of = OneTask())
      : options(read_train(parse_yaml(train, "train"))),
        task(of),
        model(
            read_model(
                parse_yaml("model: {hidden_size: 128, num_hidden_layers: 4, num_heads: 2, hidden_ratio: 1,\n"
                           "        layers: " +
                               layers + "}\n",
                           "model"),
                plugins),
            plugins, 16, dtype_of(dtype), 5, device),
        trainer(model, task, options, folder, "{}") {}

  std::vector<double> steps(int count) {
    std::vector<double> losses;
    for (int step = 0; step < count; ++step) losses.push_back(trainer.step().loss);
    return losses;
  }

  Plugins plugins;
  Params options;
  OneTask task;
  LanguageModel model;
  Trainer trainer;
};

using Training = TrainingOf<UnevenLabels>;

struct NoSink final : Sink {
  void metric(std::int64_t, std::string_view, double) override {}
  void score(const Score&) override {}
};

TEST_F(TrainingOnAGpu, FollowsThatOfTheCpu) {
  const TemporaryFolder folder;
  const std::vector<double> expected = Training(folder.path(), at::kCPU, "f64").steps(30);
  struct Limit {
    const char* dtype;
    double first, last;  // AdamW makes whole steps of gradients that are nothing but rounding
  };
  for (const auto& [dtype, first, last] :
       {Limit{"f64", 1e-10, 1e-3}, {"f32", 1e-4, 1e-2}, {"bf16", 1e-2, 5e-2}}) {
    const std::vector<double> found = Training(folder.path(), kGpu, dtype).steps(30);
    EXPECT_NEAR(found[0], expected[0], first) << dtype;
    EXPECT_NEAR(found[29], expected[29], last) << dtype;
  }
  EXPECT_LT(expected[29], 0.7 * expected[0]) << "there is something to follow";
}

TEST_F(TrainingOnAGpu, GoesOnFromACheckpointOfTheOtherDevice) {
  for (const auto& [first, second] : {std::pair{at::Device(at::kCPU), kGpu}, {kGpu, at::Device(at::kCPU)}}) {
    const TemporaryFolder folder;
    NoSink sink;
    Training before(folder.path(), first, "f64");
    before.trainer.train(sink, {.should_stop = [steps = 0]() mutable { return ++steps == 20; }});
    std::vector<std::string> refused;
    Training after(folder.path(), second, "f64");
    EXPECT_EQ(after.trainer.resume(refused), 20);
    EXPECT_TRUE(refused.empty());
    EXPECT_NEAR(after.steps(1)[0], before.steps(1)[0], 1e-8) << first << " to " << second;
  }
}

// Written from copies that the device makes while the next steps are on their way.
TEST_F(TrainingOnAGpu, ACheckpointIsOfItsStep) {
  const TemporaryFolder folder;
  NoSink sink;
  Training training(folder.path(), kGpu, "bf16");
  std::map<std::int64_t, TensorMap> expected;
  training.trainer.train(sink, {.progress = [&](const TrainingProgress& now) {
                           for (const Parameter& parameter : training.model.parameters())
                             expected[now.step][parameter.name] = parameter.tensor.detach().clone();
                         }});
  const auto folders = checkpoint_folders(folder.path());
  ASSERT_EQ(folders.size(), 2u);
  for (const std::filesystem::path& each : folders) {
    const Checkpoint found = load_checkpoint(each);
    for (const auto& [name, values] : expected.at(found.step))
      EXPECT_TRUE(at::equal(found.model.at(name), values.cpu())) << name << " at step " << found.step;
  }
}

struct Losses final : Sink {
  void metric(std::int64_t step, std::string_view name, double value) override {
    EXPECT_EQ(name == "train/loss" ? step : std::ssize(list) + 1, std::ssize(list) + 1);
    if (name == "train/loss") list.push_back(value);
  }
  void score(const Score&) override {}

  std::vector<double> list;
};

// Seven rows have 28 labels, wherever they begin: every step has the same shapes.
TEST_F(TrainingOnAGpu, IsTheSameByRecordedSteps) {
  const TemporaryFolder folder;
  for (const auto& [dtype, limit] : {std::pair{"f32", 1e-5}, {"bf16", 5e-3}}) {
    Losses launched, recorded;
    Training(folder.path(), kGpu, dtype,
             "{batch_size: 7, seq_len: 12, steps: 30, lr: 1e-2, cuda_graph: false}")
        .trainer.train(launched, {});
    Training(folder.path(), kGpu, dtype,
             "{batch_size: 7, seq_len: 12, tokens_per_step: 84, steps: 30, lr: 1e-2, cuda_graph: true}")
        .trainer.train(recorded, {});
    ASSERT_EQ(launched.list.size(), 30U);
    ASSERT_EQ(recorded.list.size(), 30U);
    for (std::size_t step = 0; step < 30; ++step)
      EXPECT_NEAR(recorded.list[step], launched.list[step], limit) << dtype << " at step " << step;
  }
}

// Eight rows have 29 to 35 labels: the step is recorded once there is room for all. What fills it up adds
// nothing, but in bf16 a product of more rows may add up in another order, and AdamW makes whole steps of
// gradients that are nothing but rounding: there the steps are smaller.
TEST_F(TrainingOnAGpu, IsTheSameByRecordedStepsWithUnevenLabels) {
  const TemporaryFolder folder;
  struct Limit {
    const char *dtype, *rate;
    double most;
  };
  for (const auto& [dtype, rate, most] : {Limit{"f32", "1e-2", 1e-5}, {"bf16", "1e-3", 5e-3}}) {
    const std::string train =
        std::string("{batch_size: 8, seq_len: 12, steps: 40, lr: ") + rate + ", cuda_graph: ";
    Losses launched, recorded;
    Training(folder.path(), kGpu, dtype, (train + "false}").c_str()).trainer.train(launched, {});
    testing::internal::CaptureStderr();
    Training(folder.path(), kGpu, dtype, (train + "true}").c_str()).trainer.train(recorded, {});
    EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::Not(testing::HasSubstr("recorded")));
    ASSERT_EQ(launched.list.size(), 40U);
    ASSERT_EQ(recorded.list.size(), 40U);
    for (std::size_t step = 0; step < 40; ++step)
      EXPECT_NEAR(recorded.list[step], launched.list[step], most) << dtype << " at step " << step;
  }
}

// Rows come to have more documents: the step is recorded twice.
TEST_F(TrainingOnAGpu, IsTheSameByRecordedStepsWithDocuments) {
  const TemporaryFolder folder;
  Losses launched, recorded;
  using OfDocuments = TrainingOf<RandomDocuments>;
  const std::string train =
      "{batch_size: 4, seq_len: 24, tokens_per_step: 192, steps: 40, lr: 1e-2, cuda_graph: ";
  OfDocuments(folder.path(), kGpu, "bf16", (train + "false}").c_str()).trainer.train(launched, {});
  testing::internal::CaptureStderr();
  OfDocuments(folder.path(), kGpu, "bf16", (train + "true}").c_str()).trainer.train(recorded, {});
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << "it can be recorded";
  ASSERT_EQ(launched.list.size(), 40U);
  ASSERT_EQ(recorded.list.size(), 40U);
  for (std::size_t step = 0; step < 40; ++step)
    EXPECT_NEAR(recorded.list[step], launched.list[step], 5e-3) << "at step " << step;
}

// Bit for bit; so without attention, whose gradients LibTorch sums in any order.
TEST_F(TrainingOnAGpu, IsTheSameWhereTheBackwardPassMakesThingsAgain) {
  const TemporaryFolder folder;
  for (const char* const graph : {"false", "true"}) {
    const std::string train =
        "{batch_size: 7, seq_len: 140, tokens_per_step: 1960, steps: 12, lr: 1e-2, cuda_graph: " +
        std::string(graph) + "}";
    const auto trained = [&](const std::string& options) {
      auto training = std::make_unique<Training>(
          folder.path(), kGpu, "bf16", train.c_str(),
          "[mdn, {name: mamba2, state_size: 64}, kda_momentum, gated_deltanet]" + options, UnevenLabels(140));
      Losses losses;
      training->trainer.train(losses, {});
      return std::pair(losses.list, std::move(training));
    };
    const auto [kept_losses, kept] = trained("");
    ASSERT_EQ(kept_losses.size(), 12U);
    for (const char* const options : {", recompute_layers: 4", ", recompute_scan_layers: 4",
                                      ", recompute_layers: 2, recompute_scan_layers: 3"}) {
      SCOPED_TRACE(testing::Message() << "cuda_graph: " << graph << options);
      const auto [losses, training] = trained(options);
      EXPECT_EQ(losses, kept_losses);
      const auto &found = training->model.parameters(), &expected = kept->model.parameters();
      for (std::size_t i = 0; i < expected.size(); ++i)
        EXPECT_TRUE(at::equal(found[i].tensor, expected[i].tensor)) << expected[i].name;
    }
  }
}

StepBatches batches_of(double value, std::int64_t tokens) {
  const at::Tensor all = at::full({1, tokens}, static_cast<std::int64_t>(value), at::kLong).to(kGpu);
  return {.batches = {{.tokens_BT = all, .labels = all.view(-1)}}, .rows = tokens};
}

TEST_F(TrainingOnAGpu, ARepeatedStepFollowsItsBatches) {
  at::Tensor total = at::zeros({}, at::TensorOptions(kGpu).dtype(at::kDouble));
  int calls = 0;
  RepeatedStep step(
      [&](const StepBatches& batches) {
        ++calls;
        total += batches.batches[0].tokens_BT.sum();
        return total.clone();
      },
      true);
  double expected = 0;
  for (int i = 1; i <= 12; ++i) {
    const std::int64_t tokens = i == 9 ? 3 : 5;  // one of another shape
    expected += static_cast<double>(i * tokens);
    EXPECT_EQ(step.queue(batches_of(i, tokens)).item<double>(), expected) << i;
  }
  EXPECT_TRUE(step.is_recorded());
  EXPECT_LT(calls, 7) << "the others are played";
}

TEST_F(TrainingOnAGpu, AStepThatWaitsForTheDeviceIsLaunchedEachTime) {
  RepeatedStep step(
      [&](const StepBatches& batches) {
        const double read = batches.batches[0].tokens_BT.sum().item<double>();
        return at::full({}, read, at::TensorOptions(kGpu).dtype(at::kDouble));
      },
      true);
  testing::internal::CaptureStderr();
  for (int i = 1; i <= 8; ++i) EXPECT_EQ(step.queue(batches_of(i, 5)).item<double>(), 5 * i);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_FALSE(step.is_recorded());
  EXPECT_NE(said.find("the step cannot be recorded"), said.npos) << said;
}

}  // namespace
}  // namespace mdnlab
