// What a rehearsal says of a GPU's memory against what training then holds there. Skipped where there is no
// GPU.
#include "base/gpu.h"

#include <gtest/gtest.h>

#include <iostream>

#include "base/text.h"
#include "check/peak_memory.h"
#include "experiment.h"
#include "run/training_memory.h"
#include "scan/cuda_module.h"
#include "train/trainer.h"

namespace mdnlab {
namespace {

const at::Device kGpu(at::kCUDA, 0);

// Wide enough that what libraries keep for themselves is little beside it.
const char* const cases[] = {
    "rule: mdn\nmodel: {hidden_size: 512, num_hidden_layers: 4, num_heads: 4, expand_v: 2",
    "rule: gated_deltanet\nmodel: {hidden_size: 512, num_hidden_layers: 4, num_heads: 4",
    "rule: kda\nmodel: {hidden_size: 512, num_hidden_layers: 4, num_heads: 4",
    "rule: mamba2\nmodel: {hidden_size: 512, num_hidden_layers: 4, num_heads: 16, hidden_ratio: 0",
    "rule: attention\nmodel: {hidden_size: 512, num_hidden_layers: 4, num_heads: 8",
    "rule: mdn\nmodel: {hidden_size: 512, num_hidden_layers: 4, num_heads: 4, ratio: '3:1'",
    "rule: mdn\nmodel: {hidden_size: 512, num_hidden_layers: 4, num_heads: 4, recompute_layers: 4",
    "rule: kda\nmodel: {hidden_size: 512, num_hidden_layers: 4, num_heads: 4, recompute_layers: 4, "
    "recompute_scan_layers: 4",
    "rule: mamba2\nmodel: {hidden_size: 512, num_hidden_layers: 4, num_heads: 16, hidden_ratio: 0, "
    "recompute_layers: 4, recompute_scan_layers: 4",
    "rule: attention\nmodel: {hidden_size: 512, num_hidden_layers: 4, num_heads: 8, recompute_layers: 4"};

class MemoryOfAGpu : public testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() { scan::cuda_module(); }
  void SetUp() override {
    if (!gpu_facts().trouble.empty()) GTEST_SKIP() << gpu_facts().trouble;
    if (gpu_facts().gpus.at(0).capability != 90) GTEST_SKIP() << "the rehearsal is of capability 9.0";
    ASSERT_NO_THROW(scan::require_gpu(kGpu));
  }
};

INSTANTIATE_TEST_SUITE_P(Rules, MemoryOfAGpu, testing::ValuesIn(cases));

TEST_P(MemoryOfAGpu, IsWhatARehearsalSays) {
  const Experiments here;
  std::string text;
  for (int i = 0; i < 100; ++i) text += Experiments::text();
  here.put("long.txt", text);
  const PlannedRun run =
      here.plan("schema: 1\n" + std::string(GetParam()) +
                ", vocab_size: 32000}\ndata: {path: long.txt}\ntask: {name: text, length_factors: [1]}\n"
                "train: {batch_size: 16, seq_len: 1024, steps: 4, dtype: bf16}\n")
          .at(0);
  const auto told = training_memory(run.config, plugins(), *run.task, run.vocab_size, at::kCUDA);
  ASSERT_TRUE(told.has_value());
  const PeakMemory memory(kGpu);
  LanguageModel model(run.config.model, plugins(), run.vocab_size, at::kBFloat16, 0, kGpu);
  Trainer trainer(model, *run.task, run.config.train, {}, {});
  for (int step = 0; step < 3; ++step) trainer.step();
  const auto found = static_cast<double>(memory.bytes());
  std::cout << run.row.rule << ": " << bytes_text(told->peak_bytes) << " rehearsed, "
            << bytes_text(memory.bytes()) << " found\n";
  EXPECT_NEAR(static_cast<double>(told->peak_bytes), found, 0.1 * found);
}

}  // namespace
}  // namespace mdnlab
