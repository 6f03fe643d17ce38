// Steps whose loss or gradient is not finite: skipped, counted, and after too many in a row the end of the
// run, with the tensor where it began.
#include "train/not_finite.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "../error_of.h"
#include "../temporary_folder.h"
#include "base/file.h"
#include "config/yaml.h"
#include "train/options.h"
#include "train/trainer.h"
#include "uneven_labels.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

constexpr double infinity = std::numeric_limits<double>::infinity();
const std::string twelve = ", steps: 12";
constexpr std::int64_t batch_size = 2, poison = 16;

// Some steps hold a token that no other has.
class Poisoned final : public Task {
 public:
  explicit Poisoned(std::set<std::int64_t> steps) : steps_(std::move(steps)) {}
  std::int64_t vocab_size() const override { return poison + 1; }
  std::string data_digest() const override { return {}; }
  Batch training(std::int64_t first, std::int64_t count) const override {
    first += passed_;
    Batch batch = plain_.training(first, count);
    if (steps_.contains(first / batch_size)) batch.tokens_BT.data_ptr<std::int64_t>()[0] = poison;
    return batch;
  }
  std::unique_ptr<Evaluation> evaluation(Split) const override { return nullptr; }
  void begin_at(std::int64_t step) { passed_ = step * batch_size; }

 private:
  UnevenLabels plain_;
  std::int64_t passed_ = 0;
  std::set<std::int64_t> steps_;
};

struct Recorder final : Sink {
  void metric(std::int64_t step, std::string_view name, double value) override {
    values[std::string(name)].emplace_back(step, value);
  }
  void score(const Score&) override {}
  std::map<std::string, std::vector<std::pair<std::int64_t, double>>> values;
};

struct Training {
  explicit Training(std::set<std::int64_t> steps, const std::string& more = twelve,
                    const std::filesystem::path& at = {})
      : task(std::move(steps)),
        options(read_train(parse_yaml("{batch_size: 2, seq_len: 12, lr: 1e-2" + more + "}", "train"))),
        model(read_model(parse_yaml("rule: mdn\nmodel: {hidden_size: 16, num_hidden_layers: 2, num_heads: 2, "
                                    "hidden_ratio: 1}",
                                    "model"),
                         plugins),
              plugins, task.vocab_size(), at::kFloat, 5),
        trainer(model, task, options, at.empty() ? folder.path() : at, "{}") {
    at::set_num_threads(1);
    const at::NoGradGuard no_grad;
    parameter("model.embeddings.weight")[poison].fill_(infinity);
  }

  at::Tensor parameter(const std::string& name) const {
    return std::ranges::find(model.parameters(), name, &Parameter::name)->tensor.detach();
  }
  // The values of every learned tensor, the poisoned row among them.
  std::vector<at::Tensor> weights() const {
    std::vector<at::Tensor> list;
    for (const Parameter& each : model.parameters()) list.push_back(each.tensor.detach().clone());
    return list;
  }
  std::string resume() {
    std::vector<std::string> refused;
    trainer.resume(refused);
    return refused.empty() ? "" : refused[0];
  }

  Plugins plugins;
  Poisoned task;
  Params options;
  LanguageModel model;
  TemporaryFolder folder;
  Trainer trainer;
};

bool same(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  return std::ranges::equal(a, b, [](const at::Tensor& x, const at::Tensor& y) { return at::equal(x, y); });
}

TEST(NotFinite, AStepIsSkippedAndTheNextTrains) {
  Training training({2});
  for (int step = 0; step < 2; ++step) EXPECT_FALSE(training.trainer.step().is_skipped);
  const std::vector<at::Tensor> before = training.weights();
  const StepResult skipped = training.trainer.step();
  EXPECT_TRUE(skipped.is_skipped);
  EXPECT_EQ(skipped.fault, "");
  EXPECT_TRUE(same(training.weights(), before));
  const StepResult next = training.trainer.step();
  EXPECT_FALSE(next.is_skipped);
  EXPECT_TRUE(std::isfinite(next.loss));
  EXPECT_FALSE(same(training.weights(), before));
}

// What a skipped step leaves of itself would show in the steps after it: moments, step counts, decay.
TEST(NotFinite, AfterASkippedStepTheOptimizerIsAsItWas) {
  Training with({0}, twelve + ", min_lr_ratio: 1"), without({}, twelve + ", min_lr_ratio: 1");
  without.task.begin_at(1);
  EXPECT_TRUE(with.trainer.step().is_skipped);
  for (int step = 0; step < 3; ++step)
    EXPECT_EQ(with.trainer.step().loss, without.trainer.step().loss) << step;
  EXPECT_TRUE(same(with.weights(), without.weights()));
}

TEST(NotFinite, SkippedStepsAreCountedAndHaveNoLoss) {
  Training training({1, 4, 5});
  Recorder recorder;
  std::vector<std::int64_t> skipped;
  const TrainingResult result = training.trainer.train(
      recorder, {.progress = [&](const TrainingProgress& now) { skipped.push_back(now.skipped); }});
  EXPECT_EQ(result.end, TrainingEnd::finished);
  EXPECT_EQ(result.step, 12);
  EXPECT_EQ(result.skipped, 3);
  EXPECT_THAT(recorder.values["train/skipped_steps"],
              ElementsAre(std::pair{2, 1.0}, std::pair{5, 2.0}, std::pair{6, 3.0}));
  EXPECT_EQ(recorder.values["train/loss"].size(), 9u);
  EXPECT_THAT(skipped, ElementsAre(0, 1, 1, 1, 2, 3, 3, 3, 3, 3, 3, 3));
}

TEST(NotFinite, OneMoreInARowThanAllowedIsADivergence) {
  const std::set<std::int64_t> four{3, 4, 5, 6};
  Recorder recorder;
  EXPECT_EQ(Training(four, twelve + ", max_skipped_steps: 4").trainer.train(recorder, {}).end,
            TrainingEnd::finished);
  const TrainingResult result = Training(four, twelve + ", max_skipped_steps: 3").trainer.train(recorder, {});
  EXPECT_EQ(result.end, TrainingEnd::diverged);
  EXPECT_EQ(result.step, 6) << "the last one is not done";
  EXPECT_EQ(result.cause,
            "the loss is nan at step 7, after 3 skipped in a row; first not finite: the output of "
            "model.embeddings, as its parameter model.embeddings.weight is not finite");
  EXPECT_EQ(Training({0}, twelve + ", max_skipped_steps: 0").trainer.train(recorder, {}).cause.substr(0, 41),
            "the loss is nan at step 1; first not fini");
}

TEST(NotFinite, ARunWhoseEveryStepWasSkippedIsADivergence) {
  Recorder recorder;
  const TrainingResult result = Training({0, 1, 2}, ", steps: 3").trainer.train(recorder, {});
  EXPECT_EQ(result.end, TrainingEnd::diverged);
  EXPECT_THAT(result.cause, HasSubstr("at step 3, after 2 skipped in a row"));
}

TEST(NotFinite, ACheckpointKeepsTheCount) {
  const TemporaryFolder folder;
  const std::set<std::int64_t> four{3, 4, 5, 6};
  const auto stop_after = [](int count) { return [steps = 0, count]() mutable { return ++steps == count; }; };
  Recorder recorder;
  Training first(four, twelve + ", max_skipped_steps: 3", folder.path());
  EXPECT_EQ(first.trainer.train(recorder, {.should_stop = stop_after(5)}).end, TrainingEnd::interrupted);
  Training second(four, twelve + ", max_skipped_steps: 3", folder.path());
  second.resume();
  const TrainingResult result = second.trainer.train(recorder, {});
  EXPECT_EQ(result.end, TrainingEnd::diverged) << "two before the stop and two after it are four in a row";
  EXPECT_EQ(result.skipped, 3);
}

TEST(NotFinite, TheFirstOutputThatIsNotFiniteIsNamed) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"model.layers.1.attn_norm.weight", "model.layers.1.attn_norm"},
      {"model.layers.1.attn.o_proj.weight", "model.layers.1.attn"},
      {"model.layers.0.mlp.down_proj.weight", "model.layers.0.mlp"},
      {"model.norm.weight", "model.norm"},
      {"lm_head.weight", "lm_head"}};
  for (const auto& [parameter, place] : cases) {
    Training training({}, twelve + ", max_skipped_steps: 0");
    training.parameter(parameter).view(-1)[0].fill_(infinity);
    EXPECT_THAT(training.trainer.step().fault,
                EndsWith("first not finite: the output of " + place + ", as its parameter " + parameter +
                         " is not finite"));
  }
}

TEST(NotFinite, AnOutputThatOverflowsNamesNoParameter) {
  Training training({}, twelve + ", max_skipped_steps: 0");
  training.parameter("model.layers.1.mlp.up_proj.weight").mul_(1e4);
  training.parameter("model.layers.1.mlp.down_proj.weight").fill_(3e38);
  EXPECT_THAT(training.trainer.step().fault, EndsWith("first not finite: the output of model.layers.1.mlp"));
}

// An enormous head that sees next to nothing: what the last norm divides by on the way back is as small.
TEST(NotFinite, TheFirstGradientOfTheBackwardPassIsNamed) {
  Training training({}, twelve + ", max_skipped_steps: 0");
  training.parameter("model.embeddings.weight").mul_(1e-6);
  training.parameter("lm_head.weight").mul_(1e38);
  for (const char* layer : {"model.layers.0.", "model.layers.1."}) {
    training.parameter(std::string(layer) + "attn.o_proj.weight").zero_();
    training.parameter(std::string(layer) + "mlp.down_proj.weight").zero_();
  }
  const StepResult result = training.trainer.step();
  EXPECT_TRUE(std::isfinite(result.loss));
  EXPECT_THAT(result.fault,
              EndsWith("at step 1; first not finite: the gradient of model.layers.1.mlp.down_proj.weight"));
}

TEST(NotFinite, ANormThatOverflowsNamesTheLargestGradient) {
  Training training({}, twelve + ", max_skipped_steps: 0");
  training.parameter("model.norm.weight").fill_(1e-37);
  training.parameter("lm_head.weight").mul_(1e38);
  EXPECT_THAT(training.trainer.step().fault,
              HasSubstr("the gradient's norm is inf at step 1; first not finite: the norm of all gradients: "
                        "each is finite, and that of model.norm.weight reaches"));
}

TEST(TrainingState, IsOfOneProcess) {
  const Params train =
      read_train(parse_yaml("{batch_size: 2, seq_len: 8, steps: 9, tokens_per_step: 64}", "t"));
  const std::string json = state_json({.step = 3, .skipped = 2, .skipped_in_a_row = 1}, train);
  EXPECT_THAT(json, HasSubstr("\"world_size\":1"));
  EXPECT_THAT(json, HasSubstr("\"accumulation\":4"));
  EXPECT_THAT(json, HasSubstr("\"tokens\":192"));
  const TrainingState read = read_state(json);
  EXPECT_EQ(read.step, 3);
  EXPECT_EQ(read.skipped, 2);
  EXPECT_EQ(read.skipped_in_a_row, 1);
  EXPECT_EQ(
      error_of([] { read_state(R"({"step": 3, "world_size": 8})"); }).what(),
      std::string("the checkpoint's training is shared by several processes; found world_size 8, expected "
                  "world_size 1; go on with as many, or remove the run's folder to begin again"));
  EXPECT_EQ(error_of([] { read_state("[]"); }).code(), Code::failed);
}

}  // namespace
}  // namespace mdnlab
