// The same training on a GPU: it follows the CPU's, and each goes on from the other's checkpoint. Skipped
// where there is no GPU.
#include "base/gpu.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <map>

#include "../temporary_folder.h"
#include "config/yaml.h"
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

struct Training {
  Training(const std::filesystem::path& folder, at::Device device, const char* dtype)
      : options(read_train(
            parse_yaml("{batch_size: 8, seq_len: 12, steps: 40, lr: 1e-2, checkpoint_every: 20}", "train"))),
        model(
            read_model(
                parse_yaml("model: {hidden_size: 128, num_hidden_layers: 4, num_heads: 2, hidden_ratio: 1,\n"
                           "        layers: [mdn, {name: mamba2, state_size: 64}, kda, attention]}\n",
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
  UnevenLabels task;
  Params options;
  LanguageModel model;
  Trainer trainer;
};

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

}  // namespace
}  // namespace mdnlab
