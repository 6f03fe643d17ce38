// Decoding on a GPU, launched and recorded: what every rule says of a text, step by step, against the whole
// text in float64 on the CPU. Skipped where there is no GPU of capability 9.0.
#include "base/gpu.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/random.h"
#include "check/peak_memory.h"
#include "document.h"
#include "model/decode.h"
#include "model/sampling.h"
#include "model/stepper.h"
#include "scan/cuda_module.h"

namespace mdnlab {
namespace {

constexpr std::int64_t vocabulary = 500;
const at::Device gpu(at::kCUDA, 0);

std::vector<std::int64_t> random_tokens(std::size_t length, std::uint64_t seed) {
  Random random{seed};
  std::vector<std::int64_t> tokens(length);
  for (std::int64_t& token : tokens) token = static_cast<std::int64_t>(random.below(vocabulary));
  return tokens;
}

class DecodeGpu : public testing::TestWithParam<const char*> {
 protected:
  // LibTorch looks for its CUDA half once, at the first tensor.
  static void SetUpTestSuite() { scan::cuda_module(); }
  void SetUp() override {
    if (!gpu_facts().trouble.empty()) GTEST_SKIP() << gpu_facts().trouble;
    if (!scan::cuda_module().trouble.empty()) GTEST_SKIP() << scan::cuda_module().trouble;
    if (gpu_facts().gpus[0].capability != 90) GTEST_SKIP() << "capability " << gpu_facts().gpus[0].capability;
  }

  // The same weights whatever the dtype and the device; with logits of order one.
  static LanguageModel model(const std::string& rule, at::ScalarType dtype, at::Device device) {
    const ModelSpec spec = spec_of(
        "rule: " + rule + "\nmodel: {hidden_size: 256, num_hidden_layers: 3, num_heads: 2, head_dim: 64," +
        " expand_v: 2, intermediate_size: 352}");
    const LanguageModel drawn(spec, plugins(), vocabulary, at::kFloat, 1);
    std::map<std::string, at::Tensor> values;
    for (const Parameter& parameter : drawn.parameters()) {
      const bool is_matrix = parameter.tensor.dim() > 1;
      values[parameter.name] = parameter.tensor.detach() * (is_matrix ? 3 : 1);
    }
    return LanguageModel(spec, plugins(), vocabulary, dtype, values, device);
  }
};

double error(const at::Tensor& found, const at::Tensor& exact) {
  return ((found.to(at::kCPU, at::kDouble) - exact).norm() / exact.norm()).item<double>();
}

TEST_P(DecodeGpu, StepsSayWhatTheWholeTextSays) {
  const at::NoGradGuard no_grad;
  constexpr std::int64_t read = 70, steps = 9;
  const LanguageModel made = model(GetParam(), at::kBFloat16, gpu), fast = made.without_gradients(),
                      exact = model(GetParam(), at::kDouble, at::kCPU);
  for (const std::int64_t rows : {1, 3, 8, 13, 64, 70}) {
    std::vector<at::Tensor> texts;
    for (std::int64_t row = 0; row < rows; ++row)
      texts.push_back(at::tensor(random_tokens(read + steps, static_cast<std::uint64_t>(row))));
    const at::Tensor text = at::stack(texts), on_gpu = text.to(gpu);
    const at::Tensor expected = exact.logits(exact.hidden(text)), whole = made.logits(made.hidden(on_gpu));
    ModelState state;
    fast.hidden(on_gpu.narrow(1, 0, read), {}, &state);
    Stepper stepper(fast, state), again(fast, state);
    for (std::int64_t t = read; t < read + steps; ++t) {  // the first ones launched, the others recorded
      const at::Tensor logits = stepper.step(text.select(1, t)).clone();
      const at::Tensor reference = expected.select(1, t);
      EXPECT_LT(error(logits, reference), 2 * error(whole.select(1, t), reference) + 2e-3)
          << rows << " rows, token " << t;
      EXPECT_TRUE(at::equal(logits, again.step(text.select(1, t)))) << rows << " rows, token " << t;
      EXPECT_TRUE(at::equal(stepper.likeliest(), logits.argmax(-1)));
    }
    ModelState left = stepper.state();  // from which the chunkwise scan goes on
    const at::Tensor more = text.narrow(1, 0, 5), both = at::cat({text, more}, 1);
    const at::Tensor last = exact.logits(exact.hidden(both).select(1, -1));
    EXPECT_LT(error(fast.logits(fast.hidden(more.to(gpu), {}, &left).select(1, -1)), last),
              2 * error(made.logits(made.hidden(both.to(gpu)).select(1, -1)), last) + 2e-3)
        << rows << " rows";
  }
}

TEST_P(DecodeGpu, WritesInABatchWhatItWritesAlone) {
  const at::NoGradGuard no_grad;
  const LanguageModel made = model(GetParam(), at::kBFloat16, gpu).without_gradients();
  const std::vector<std::vector<std::int64_t>> prompts{random_tokens(37, 1), random_tokens(1, 2),
                                                       random_tokens(70, 3), random_tokens(37, 4),
                                                       random_tokens(38, 5), random_tokens(33, 6)};
  const std::vector<std::size_t> lengths{20, 1, 12, 25, 9, 3};
  struct Written {
    std::vector<std::int64_t> tokens;
    std::vector<at::Tensor> logits;
  };
  const auto write = [&](const std::vector<std::size_t>& which) {
    std::vector<std::vector<std::int64_t>> given;
    for (const std::size_t i : which) given.push_back(prompts[i]);
    std::vector<Written> written(which.size());
    decode(made, given, [&](const at::Tensor& logits, std::span<const std::size_t> sequences) {
      std::vector<std::int64_t> chosen = highest_tokens(logits);
      for (std::size_t i = 0; i < sequences.size(); ++i) {
        Written& one = written[sequences[i]];
        one.logits.push_back(logits[static_cast<std::int64_t>(i)].cpu());
        one.tokens.push_back(chosen[i]);
        if (one.tokens.size() == lengths[which[sequences[i]]]) chosen[i] = end_of_sequence;
      }
      return chosen;
    });
    return written;
  };
  const LanguageModel exact = model(GetParam(), at::kDouble, at::kCPU);
  const std::vector<Written> together = write({0, 1, 2, 3, 4, 5});
  int equal = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const Written &batched = together[i], alone = write({i})[0];
    ASSERT_EQ(batched.tokens.size(), lengths[i]);
    std::vector<std::int64_t> tokens = prompts[i];
    tokens.insert(tokens.end(), alone.tokens.begin(), alone.tokens.end());
    const at::Tensor text = at::tensor(tokens).unsqueeze(0), expected = exact.logits(exact.hidden(text))[0],
                     whole = made.logits(made.hidden(text.to(gpu)))[0];
    std::size_t same = 0;  // tokens; where the two part, what follows is another text
    while (same < lengths[i] && batched.tokens[same] == alone.tokens[same]) ++same;
    equal += static_cast<int>(same);
    if (same < lengths[i]) {  // the two highest are closer than rounding
      const double difference = (batched.logits[same] - alone.logits[same]).abs().max().item<double>();
      const at::Tensor top = std::get<0>(alone.logits[same].topk(2));
      EXPECT_LE((top[0] - top[1]).item<double>(), 2 * difference) << "prompt " << i << ", token " << same;
    }
    const std::size_t count = std::min(same + 1, lengths[i]);
    const auto first = static_cast<std::int64_t>(prompts[i].size()) - 1;
    const auto written = [&](const at::Tensor& all) {
      return all.narrow(0, first, static_cast<std::int64_t>(count));
    };
    const auto of = [&](const Written& one) { return at::stack(at::TensorList(one.logits.data(), count)); };
    const double rounding = error(written(whole), written(expected));
    EXPECT_LT(error(of(alone), written(expected)), 2 * rounding + 2e-3) << "prompt " << i;
    EXPECT_LT(error(of(batched), written(expected)), 2 * rounding + 2e-3) << "prompt " << i;
  }
  EXPECT_GE(equal, 20) << "of 70";
}

INSTANTIATE_TEST_SUITE_P(
    Decode, DecodeGpu,
    testing::Values("mdn", "gated_deltanet", "deltanet", "decay_momentum", "delta_momentum", "kda",
                    "kda_momentum", "scalar_ssd", "{name: mamba2, head_width: 64}",
                    "{name: mamba2, head_width: 32}", "attention", "{name: sliding_attention, window: 32}",
                    "{name: gated_deltanet, num_v_heads: 4}",
                    "{name: mdn, gate_constraint: escrow, erase_share: true, look_ahead: 0.5}",
                    "{name: gated_deltanet, use_short_conv: false, output_gate: none}",
                    "{name: kda_momentum, gate_constraint: escrow}", "{name: mdn, min_log_mu: -2}"),
    [](const auto& info) {
      std::string name;
      for (const char c : std::string(info.param)) name += std::isalnum(c) ? c : '_';
      return std::to_string(info.index) + name;
    });

using MillionTokens = DecodeGpu;

// A recurrent rule's memory does not grow with the text: read in segments, and of what is read nothing stays.
TEST_P(MillionTokens, TakeNoMoreMemoryThanFewer) {
  const LanguageModel made = model(GetParam(), at::kBFloat16, gpu).without_gradients();
  const auto peak = [&](std::size_t tokens) {
    const PeakMemory memory(gpu);
    std::vector<std::int64_t> written;
    decode(made, {random_tokens(tokens, 1)}, [&](const at::Tensor& logits, std::span<const std::size_t>) {
      written = highest_tokens(logits);
      return std::vector{end_of_sequence};
    });
    EXPECT_EQ(written.size(), 1U);
    return memory.bytes();
  };
  // What a stream beside this one still reads comes back when the host next asks for memory: some MiB now or
  // then.
  const std::int64_t few = std::max({peak(1 << 16), peak(1 << 16), peak(1 << 16)}), many = peak(1 << 20);
  EXPECT_LE(many, few + few / 10) << few;
}

INSTANTIATE_TEST_SUITE_P(Decode, MillionTokens, testing::Values("mdn", "gated_deltanet", "kda"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace mdnlab
