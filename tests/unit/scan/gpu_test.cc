// What `mdnlab rules check --device cuda` does not ask of a GPU: the decode step at every width, alignment
// and stride, segments of every width, and errors. Skipped where there is no GPU.
#include "base/gpu.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>

#include "../error_of.h"
#include "base/error.h"
#include "cases.h"
#include "scan/cuda_module.h"
#include "scan/implementation.h"
#include "scan/inputs.h"

namespace mdnlab::scan {

namespace {

using testing::HasSubstr;

const at::Device kGpu(at::kCUDA, 0);

class ScanGpu : public testing::Test {
 protected:
  // LibTorch looks for its CUDA half once, at the first tensor.
  static void SetUpTestSuite() { cuda_module(); }
  void SetUp() override {
    if (!gpu_facts().trouble.empty()) GTEST_SKIP() << gpu_facts().trouble;
    ASSERT_NO_THROW(require_gpu(kGpu));
  }
};

Inputs moved(Inputs inputs) {
  for (at::Tensor* tensor : tensors(inputs)) {
    if (tensor->defined()) *tensor = tensor->detach().to(kGpu);
  }
  return inputs;
}

// The kernel's own, not what would stand in for it.
Outputs step_of_the_module(const Inputs& inputs) {
  Outputs out = step(moved(inputs), "hopper");
  for (at::Tensor* tensor : {&out.o_BTHV, &out.final_S_NHKV, &out.final_M_NHKV}) {
    if (tensor->defined()) *tensor = tensor->cpu();
  }
  return out;
}

bool has_module() { return cuda_module().trouble.empty() && gpu_facts().gpus[0].capability == 90; }

TEST_F(ScanGpu, StepsAtAnyWidth) {
  if (!has_module()) GTEST_SKIP() << cuda_module().trouble;
  const Shape shapes[] = {{.B = 1, .T = 1, .H = 1, .G = 1, .K = 8, .V = 1},
                          {.B = 3, .T = 1, .H = 4, .G = 2, .K = 24, .V = 7},
                          {.B = 2, .T = 1, .H = 2, .G = 2, .K = 72, .V = 33},
                          {.B = 2, .T = 1, .H = 6, .G = 6, .K = 128, .V = 256},
                          {.B = 40, .T = 1, .H = 6, .G = 3, .K = 64, .V = 100},
                          {.B = 1, .T = 1, .H = 2, .G = 1, .K = 256, .V = 512},
                          {.B = 1, .T = 1, .H = 1, .G = 1, .K = 1024, .V = 64}};
  for (const Shape& shape : shapes) {
    for (const Rule& rule : kRules) {
      for (const bool initial_state : {false, true}) {
        SCOPED_TRACE(name(rule) + " K " + std::to_string(shape.K) + " V " + std::to_string(shape.V));
        const Inputs inputs =
            make_inputs({.shape = shape, .rule = rule, .dtype = at::kFloat, .initial_state = initial_state});
        const Outputs out = step_of_the_module(inputs), expected = reference(inputs);
        expect_close("o", out.o_BTHV, expected.o_BTHV, 3e-6);
        expect_close("S", out.final_S_NHKV, expected.final_S_NHKV, 1e-6);
        if (rule.momentum) expect_close("M", out.final_M_NHKV, expected.final_M_NHKV, 1e-6);
      }
    }
  }
}

TEST_F(ScanGpu, StepsInHalfPrecision) {
  if (!has_module()) GTEST_SKIP() << cuda_module().trouble;
  for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf}) {
    const Inputs inputs = make_inputs({.shape = {.B = 2, .T = 1, .H = 4, .G = 2, .K = 128, .V = 96},
                                       .rule = {.delta = true, .momentum = true},
                                       .dtype = dtype});
    const Outputs out = step_of_the_module(inputs), expected = reference(inputs);
    EXPECT_EQ(out.o_BTHV.scalar_type(), dtype);
    expect_close("S", out.final_S_NHKV, expected.final_S_NHKV, 1e-6);
    expect_close("o", out.o_BTHV, expected.o_BTHV, 1.0 / 512);
  }
}

// As a layer hands them over: q, k and v side by side in one tensor, a state that is a part of a larger one.
TEST_F(ScanGpu, StepsOnStridedTensorsWithTheSameBits) {
  if (!has_module()) GTEST_SKIP() << cuda_module().trouble;
  const Inputs inputs = moved(make_inputs({.shape = {.B = 2, .T = 1, .K = 64, .V = 64},
                                           .rule = {.delta = true, .momentum = true},
                                           .dtype = at::kFloat}));
  const Outputs dense = step(inputs, "hopper");
  Inputs strided = inputs;
  const at::Tensor row = at::empty({2, 1, 2, 3 * 64 + 1}, inputs.q_BTGK.options());
  std::int64_t begin = 1;
  for (at::Tensor* tensor : {&strided.q_BTGK, &strided.k_BTGK, &strided.v_BTHV}) {
    const at::Tensor part = row.slice(3, begin, begin + 64);
    part.copy_(*tensor);
    *tensor = part;
    begin += 64;
  }
  const at::Tensor flat = at::empty({strided.initial_S_NHKV.numel() + 1}, strided.initial_S_NHKV.options());
  strided.initial_S_NHKV = flat.slice(0, 1).view(inputs.initial_S_NHKV.sizes());
  strided.initial_S_NHKV.copy_(inputs.initial_S_NHKV);
  const Outputs again = step(strided, "hopper");
  expect_equal("o", again.o_BTHV, dense.o_BTHV);
  expect_equal("S", again.final_S_NHKV, dense.final_S_NHKV);
  expect_equal("M", again.final_M_NHKV, dense.final_M_NHKV);
}

// Outputs and gradients by the chunk kernels, or by another implementation, on the CPU.
std::vector<Named> results_of_the_module(const Inputs& inputs, std::int64_t segments,
                                         const std::string& implementation = "hopper") {
  Inputs leaves = moved(inputs);
  for (at::Tensor* tensor : tensors(leaves)) {
    if (tensor->defined()) tensor->requires_grad_();
  }
  Outputs out = chunk(leaves, {.segments = segments, .want_state = true, .implementation = implementation});
  for (at::Tensor* tensor : {&out.o_BTHV, &out.final_S_NHKV, &out.final_M_NHKV}) {
    if (tensor->defined()) *tensor = tensor->cpu();
  }
  std::vector<Named> results = gradients(leaves, out);
  for (Named& result : results) result.tensor = result.tensor.cpu();
  results.push_back({"o", out.o_BTHV.detach()});
  results.push_back({"S", out.final_S_NHKV.detach()});
  if (out.final_M_NHKV.defined()) results.push_back({"M", out.final_M_NHKV.detach()});
  return results;
}

constexpr Rule kCompiled[] = {{.momentum = true},
                              {.delta = true},
                              {.delta = true, .momentum = true},
                              {.channel_decay = true},
                              {.momentum = true, .channel_decay = true},
                              {.delta = true, .channel_decay = true},
                              {.delta = true, .momentum = true, .channel_decay = true}};

// `rules check` judges the recurrence, and segments, at the narrowest widths; here they meet wider ones.
TEST_F(ScanGpu, ScansInHalfPrecisionAtEveryWidth) {
  if (!has_module()) GTEST_SKIP() << cuda_module().trouble;
  for (const Rule& rule : kCompiled) {
    for (const std::int64_t K : {64, 128, 256}) {
      SCOPED_TRACE(name(rule) + " K " + std::to_string(K));
      Inputs inputs = make_inputs({.shape = {.B = 2, .T = 64 * 2 + 5, .H = 2, .G = 1, .K = K, .V = 128},
                                   .rule = rule,
                                   .dtype = at::kHalf,
                                   .log_alpha = -0.02,
                                   .log_mu = -0.2,
                                   .largest_beta = 0.1});
      inputs.mu_shares_alpha = rule.momentum && rule.channel_decay;
      Inputs wide = inputs;
      for (at::Tensor* tensor : {&wide.q_BTGK, &wide.k_BTGK, &wide.v_BTHV}) *tensor = tensor->to(at::kFloat);
      const std::vector<Named> found = results_of_the_module(inputs, 1),
                               expected = results_of_the_module(wide, 1, "batched");
      for (std::size_t i = 0; i < expected.size(); ++i)
        expect_close(expected[i].name, found[i].tensor, expected[i].tensor, 1.0 / 256);
    }
  }
}

TEST_F(ScanGpu, ScansInSegmentsAsInOnePiece) {
  if (!has_module()) GTEST_SKIP() << cuda_module().trouble;
  for (const Rule& rule : kCompiled) {
    for (const std::int64_t K : {64, 128, 256}) {
      SCOPED_TRACE(name(rule) + " K " + std::to_string(K));
      Inputs inputs = make_inputs({.shape = {.B = 2, .T = 64 * 7 + 5, .H = 2, .G = 1, .K = K, .V = 128},
                                   .rule = rule,
                                   .dtype = at::kBFloat16,
                                   .log_alpha = -2e-3,
                                   .log_mu = -0.2,
                                   .largest_beta = 0.1});
      inputs.mu_shares_alpha = rule.momentum && rule.channel_decay;
      const std::vector<Named> whole = results_of_the_module(inputs, 1);
      for (const std::int64_t segments : {2, 3, 8}) {
        SCOPED_TRACE("segments " + std::to_string(segments));
        const std::vector<Named> split = results_of_the_module(inputs, segments),
                                 again = results_of_the_module(inputs, segments);
        for (std::size_t i = 0; i < whole.size(); ++i) {
          expect_close(whole[i].name, split[i].tensor, whole[i].tensor, 1.0 / 32);
          expect_equal(whole[i].name, again[i].tensor, split[i].tensor);
        }
      }
    }
  }
}

// Documents of any length, none among them, told by the host and by the card alone: the same bits.
TEST_F(ScanGpu, ScansDocumentsThatOnlyTheGpuKnows) {
  if (!has_module()) GTEST_SKIP() << cuda_module().trouble;
  constexpr std::int64_t T = 64 * 5 + 9;
  const at::Tensor starts = at::tensor({0L, 64L, 70L, 70L, T - 1, T, T, T + 1, T + 129, 2 * T - 192, 2 * T,
                                        2 * T + 200, 3 * T, 3 * T, 3 * T, 3 * T},
                                       at::kInt);
  for (const Rule& rule : kCompiled) {
    for (const std::int64_t K : {64, 256}) {
      SCOPED_TRACE(name(rule) + " K " + std::to_string(K));
      Inputs inputs = make_inputs({.shape = {.B = 3, .T = T, .H = 4, .G = 2, .K = K, .V = 64},
                                   .rule = rule,
                                   .dtype = at::kBFloat16,
                                   .initial_state = false});
      inputs.mu_shares_alpha = rule.momentum && rule.channel_decay;
      inputs.cu_seqlens = starts;
      const std::vector<Named> expected = results_of_the_module(inputs, 1);
      inputs.cu_seqlens = starts.to(kGpu);
      const std::vector<Named> found = results_of_the_module(inputs, 1);
      for (std::size_t i = 0; i < expected.size(); ++i)
        expect_equal(expected[i].name, found[i].tensor, expected[i].tensor);
    }
  }
}

// 512 chunks of one head fill no card by themselves.
TEST_F(ScanGpu, CutsALongDocumentByItself) {
  if (!has_module()) GTEST_SKIP() << cuda_module().trouble;
  const Inputs inputs = make_inputs({.shape = {.B = 1, .T = 32768, .H = 1, .G = 1, .K = 64, .V = 64},
                                     .rule = {.delta = true, .momentum = true},
                                     .dtype = at::kBFloat16,
                                     .log_alpha = -2e-3,
                                     .log_mu = -0.2,
                                     .largest_beta = 0.1});
  const std::vector<Named> whole = results_of_the_module(inputs, 1), split = results_of_the_module(inputs, 0);
  for (std::size_t i = 0; i < whole.size(); ++i)
    expect_close(whole[i].name, split[i].tensor, whole[i].tensor, 1.0 / 32);
  EXPECT_FALSE(at::equal(split.back().tensor, whole.back().tensor)) << "it was not cut";
}

TEST_F(ScanGpu, RefusesWhatItCannotTakeWithItsReason) {
  Inputs mixed = moved(make_inputs({.rule = {.delta = true}}));
  mixed.k_BTGK = mixed.k_BTGK.cpu();
  EXPECT_THAT(error_of([&] { chunk(mixed); }).what(),
              HasSubstr("k has the wrong device; found cpu, expected cuda:0"));
  const Inputs doubles = moved(make_inputs({.shape = {.T = 1}}));
  if (!has_module()) return;
  EXPECT_THAT(error_of([&] { step(doubles, "hopper"); }).what(),
              HasSubstr("q is f64, and it takes f32, bf16 or f16"));
  EXPECT_EQ(error_of([&] { step(doubles, "hoper"); }).code(), Code::usage);
}

TEST_F(ScanGpu, RefusesADeviceThatIsNotThere) {
  const Error error = error_of([] { require_gpu(at::Device(at::kCUDA, 100)); });
  EXPECT_EQ(error.code(), Code::machine);
  EXPECT_THAT(error.what(), HasSubstr("there is no device cuda:100"));
}

TEST(NoGpu, IsAnErrorThatSaysWhatIsNeeded) {
  if (gpu_facts().trouble.empty()) GTEST_SKIP() << "there is a GPU";
  const Error error = error_of([] { require_gpu(kGpu); });
  EXPECT_EQ(error.code(), Code::machine);
  EXPECT_THAT(error.what(),
              testing::AllOf(HasSubstr("there is no device cuda:0"), HasSubstr(gpu_facts().trouble),
                             HasSubstr("compute capability 8.0 or more, with its driver")));
}

}  // namespace

}  // namespace mdnlab::scan
