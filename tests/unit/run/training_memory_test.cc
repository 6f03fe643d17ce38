// What a rehearsal says of memory against what training then holds.
#include "run/training_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../data/sample.h"
#include "check/peak_memory.h"
#include "experiment.h"
#include "train/trainer.h"

namespace mdnlab {
namespace {

struct Case {
  const char *name, *yaml;  // rule, and what differs of model, task and train
};

const Case cases[] = {
    {"attention", "rule: attention\nmodel: {hidden_size: 64, num_hidden_layers: 2, num_heads: 2}"},
    {"sliding_attention",
     "rule: {name: sliding_attention, window: 24}\nmodel: {hidden_size: 64, num_hidden_layers: 2, num_heads: 2}"},
    {"mdn", "rule: mdn\nmodel: {hidden_size: 64, num_hidden_layers: 2, num_heads: 2}"},
    {"mdn_wide_values",
     "rule: mdn\nmodel: {hidden_size: 64, num_hidden_layers: 2, num_heads: 2, expand_v: 2}"},
    {"gated_deltanet", "rule: gated_deltanet\nmodel: {hidden_size: 64, num_hidden_layers: 2, num_heads: 2}"},
    {"decay_momentum", "rule: decay_momentum\nmodel: {hidden_size: 64, num_hidden_layers: 2, num_heads: 2}"},
    {"kda", "rule: kda\nmodel: {hidden_size: 64, num_hidden_layers: 2, num_heads: 2}"},
    {"kda_momentum", "rule: kda_momentum\nmodel: {hidden_size: 64, num_hidden_layers: 2, num_heads: 2}"},
    {"mamba2",
     "rule: {name: mamba2, head_width: 16, state_size: 32}\n"
     "model: {hidden_size: 64, num_hidden_layers: 2, num_heads: 2, hidden_ratio: 0}"},
    {"hybrid", "rule: mdn\nmodel: {hidden_size: 64, num_hidden_layers: 4, num_heads: 2, ratio: '3:1'}"}};

const std::string text = "\ndata: {path: text.txt}\ntask: {name: text, length_factors: [1]}\n";

std::string document(const Case& of, const std::string& train, const std::string& task = text) {
  return "schema: 1\n" + std::string(of.yaml) + task + "train: {steps: 4, lr: 1e-3, " + train + "}\n";
}

std::optional<TrainingMemory> rehearsed(const PlannedRun& run, c10::DeviceType device = c10::kCPU) {
  return training_memory(run.config, plugins(), *run.task, run.vocab_size, device);
}

std::int64_t measured(const PlannedRun& run) {
  const PeakMemory memory;
  LanguageModel model(run.config.model, plugins(), run.vocab_size, dtype_of(run.config.train.text("dtype")),
                      0);
  Trainer trainer(model, *run.task, run.config.train, {}, {});
  for (int step = 0; step < 2; ++step) trainer.step();
  return memory.bytes();
}

void expect_near(const PlannedRun& run) {
  const auto told = rehearsed(run);
  ASSERT_TRUE(told.has_value());
  const auto found = static_cast<double>(measured(run));
  EXPECT_NEAR(static_cast<double>(told->peak_bytes), found, 0.1 * found);
  EXPECT_GE(told->kept_bytes, 16 * run.row.parameters);
  EXPECT_LT(told->kept_bytes, told->peak_bytes);
}

class OfARule : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(TrainingMemory, OfARule, testing::ValuesIn(cases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(OfARule, IsWhatTrainingThenHolds) {
  const Experiments here;
  expect_near(here.plan(document(GetParam(), "batch_size: 4, seq_len: 96")).at(0));
}

TEST_P(OfARule, InBf16AndWithBatchesOfAStep) {
  const Experiments here;
  expect_near(
      here.plan(document(GetParam(), "batch_size: 2, seq_len: 96, tokens_per_step: 576, dtype: bf16")).at(0));
}

TEST_P(OfARule, OnAGpuIsKnownWithoutOne) {
  const Experiments here;
  const PlannedRun run = here.plan(document(GetParam(), "batch_size: 4, seq_len: 96, dtype: bf16")).at(0);
  for (const c10::DeviceType gpu : {c10::kCUDA, c10::kMeta}) {
    const auto told = rehearsed(run, gpu);
    ASSERT_TRUE(told.has_value());
    EXPECT_GT(told->batch_bytes(), 0);
  }
}

TEST(TrainingMemory, IsLessWhereOperationsAreFused) {
  const Experiments here;
  const Case heads_of_64{"", "rule: mdn\nmodel: {hidden_size: 128, num_hidden_layers: 2, num_heads: 2}"};
  const PlannedRun run = here.plan(document(heads_of_64, "batch_size: 4, seq_len: 128, dtype: bf16")).at(0);
  EXPECT_LT(rehearsed(run, c10::kCUDA)->batch_bytes(), rehearsed(run)->batch_bytes() / 2);
  EXPECT_LT(rehearsed(run, c10::kCUDA)->batch_bytes(), rehearsed(run, c10::kMeta)->batch_bytes() / 2);
}

// In half width, with heads of 64: so all is fused.
TEST(TrainingMemory, IsLessWhereTheBackwardPassMakesThingsAgain) {
  const Experiments here;
  const auto batch_bytes = [&](const std::string& rule, const std::string& model, c10::DeviceType device) {
    const std::string head =
        "rule: " + rule + "\nmodel: {hidden_size: 128, num_hidden_layers: 4, num_heads: 2";
    const std::string yaml = head + model + "}", recall = "\ntask: {name: mqar, vocabulary: 32, pairs: 2}\n";
    const PlannedRun run =
        here.plan(document({"", yaml.c_str()}, "batch_size: 4, seq_len: 512, dtype: bf16", recall)).at(0);
    return rehearsed(run, device)->batch_bytes();
  };
  for (const char* const rule : {"mdn", "gated_deltanet", "kda", "kda_momentum", "decay_momentum",
                                 "{name: mamba2, head_width: 64, state_size: 64}", "attention"}) {
    SCOPED_TRACE(rule);
    const auto of = [&](const std::string& model) { return batch_bytes(rule, model, c10::kCUDA); };
    const std::int64_t kept = of(""), half = of(", recompute_layers: 2"), whole = of(", recompute_layers: 9");
    EXPECT_LT(half, 0.95 * kept);
    EXPECT_LT(whole, 0.95 * half);
    const std::int64_t prepared = of(", recompute_scan_layers: 9");
    if (std::string(rule) == "attention") {
      EXPECT_EQ(prepared, kept);
    } else {
      EXPECT_LT(prepared, kept);
      EXPECT_LT(of(", recompute_layers: 9, recompute_scan_layers: 9"), whole);
    }
    EXPECT_EQ(batch_bytes(rule, ", recompute_layers: 9", c10::kCPU), batch_bytes(rule, "", c10::kCPU))
        << "there it changes nothing";
  }
}

// What training of these files may hold on a GPU.
struct Published {
  const char* name;
  double most_gib;
};
class OfAPublishedModel : public testing::TestWithParam<Published> {};
INSTANTIATE_TEST_SUITE_P(TrainingMemory, OfAPublishedModel,
                         testing::Values(Published{"mdn-400m", 32}, Published{"gdn-400m", 30},
                                         Published{"kda-400m", 36}, Published{"mamba2-400m", 36},
                                         Published{"transformer-400m", 30}, Published{"mdn-1.3b", 70}));

TEST_P(OfAPublishedModel, StaysWithinItsBounds) {
  const auto& [name, most_gib] = GetParam();
  const PlannedRun run =
      make_plan(source_folder() / "experiments" / (std::string(name) + ".yaml"), plugins()).at(0);
  constexpr double gib = std::int64_t{1} << 30;
  EXPECT_LT(static_cast<double>(rehearsed(run, c10::kCUDA)->peak_bytes) / gib, most_gib);
}

TEST(TrainingMemory, OfABatchThatNobodyCouldReadGrowsByTheRow) {
  const Experiments here;
  const auto batch_bytes = [&](const std::string& rows) {
    const std::string recall = "\ntask: {name: mqar, vocabulary: 32, pairs: 2}\n";
    const PlannedRun run = here.plan(document(cases[2], "seq_len: 4096, batch_size: " + rows, recall)).at(0);
    return static_cast<double>(rehearsed(run, c10::kCUDA)->batch_bytes());
  };
  EXPECT_NEAR(batch_bytes("300"), 300. / 256 * batch_bytes("256"), 0.05 * batch_bytes("256"));
  EXPECT_GT(batch_bytes("1_000_000_000"), 1e6 * batch_bytes("256"));
}

TEST(TrainingMemory, CountsTheLabelsAlone) {
  const Experiments here;
  const std::string recall = "\ntask: {name: mqar, vocabulary: 16384, pairs: 2}\n";
  const PlannedRun run = here.plan(document(cases[2], "batch_size: 8, seq_len: 64", recall)).at(0);
  expect_near(run);
  // All positions would have 8·64·16384 logits.
  EXPECT_LT(rehearsed(run)->batch_bytes(), 8 * 64 * 16384 * 4);
}

}  // namespace
}  // namespace mdnlab
