// The fused operations on a GPU: against those of LibTorch in float64 on the CPU, the same bits each time,
// and how fast they go through memory. Skipped where there is no GPU of capability 9.0.
#include "base/gpu.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <cstdio>
#include <functional>

#include "check/peak_memory.h"
#include "check/stopwatch.h"
#include "gpu_operations.h"
#include "ops/cross_entropy.h"
#include "ops/fused.h"
#include "ops/parts.h"
#include "scan/cuda_module.h"

namespace mdnlab::ops {
namespace {

const at::Device kGpu(at::kCUDA, 0);

Tensors moved(const Tensors& all, at::ScalarType dtype, at::Device device) {
  Tensors leaves;
  for (const at::Tensor& tensor : all)
    leaves.push_back(tensor.to(device, dtype).detach().requires_grad_(true));
  return leaves;
}

Tensors joined(Tensors one, const Tensors& other) {
  one.insert(one.end(), other.begin(), other.end());
  return one;
}

class OpsGpu : public testing::Test {
 protected:
  // LibTorch looks for its CUDA half once, at the first tensor.
  static void SetUpTestSuite() { scan::cuda_module(); }
  void SetUp() override {
    if (!gpu_facts().trouble.empty()) GTEST_SKIP() << gpu_facts().trouble;
    if (!scan::cuda_module().trouble.empty()) GTEST_SKIP() << scan::cuda_module().trouble;
    if (gpu_facts().gpus[0].capability != 90) GTEST_SKIP() << "capability " << gpu_facts().gpus[0].capability;
    ASSERT_TRUE(fused(kGpu));
  }

  // Outputs, then gradients by all that is given, for adjoints of 1/2, 1/3, … of the output's own values.
  static Tensors results(const Operation& operation, const Tensors& x, const Tensors& w) {
    const Tensors outputs = operation.run(x, w);
    Tensors adjoints;
    for (const at::Tensor& y : outputs)
      adjoints.push_back((y.detach() + 0.5) / static_cast<double>(2 + adjoints.size()));
    return joined(outputs, torch::autograd::grad(outputs, joined(x, w), adjoints));
  }

  static void check(const Operation& operation) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const Tensors x = moved(operation.activations, dtype, kGpu),
                    w = moved(operation.learned, at::kFloat, kGpu);
      const Tensors found = results(operation, x, w), again = results(operation, x, w);
      const Tensors exact =
          results(operation, moved(x, at::kDouble, at::kCPU), moved(w, at::kDouble, at::kCPU));
      for (std::size_t i = 0; i < exact.size(); ++i) {
        const at::Tensor wide = found[i].detach().to(at::kCPU, at::kDouble);
        const double error = ((wide - exact[i]).norm() / (exact[i].norm() + 1e-30)).item<double>();
        // In bf16 y is rounded, and so is the adjoint that is made of it.
        EXPECT_LT(error, dtype == at::kFloat ? 2e-5 : 1e-2)
            << operation.name << ", " << toString(dtype) << ", tensor " << i << " of " << exact[i].sizes();
        EXPECT_TRUE(at::equal(found[i], again[i])) << operation.name << ", tensor " << i;
      }
    }
  }

  // In bf16; bytes are those of everything that is given and made, moved once.
  static void measure(const Operation& operation, double least_terabytes = 1) {
    const Tensors x = moved(operation.activations, at::kBFloat16, kGpu),
                  w = moved(operation.learned, at::kFloat, kGpu);
    const Tensors outputs = operation.run(x, w);
    Tensors adjoints;
    double bytes = 0;
    for (const at::Tensor& y : outputs) adjoints.push_back(at::randn_like(y.detach()));
    for (const at::Tensor& tensor : joined(joined(x, w), outputs))
      bytes += static_cast<double>(tensor.nbytes());
    const auto backward = [&] {
      torch::autograd::grad(outputs, joined(x, w), adjoints, /*retain_graph=*/true);
    };
    const auto forward = [&] {
      const at::NoGradGuard no_grad;
      operation.run(x, w);
    };
    double input_bytes = 0;
    for (const at::Tensor& tensor : joined(x, w)) input_bytes += static_cast<double>(tensor.nbytes());
    const double there = time_work(kGpu, 9, forward).median_ms, back = time_work(kGpu, 9, backward).median_ms;
    std::printf("%-20s forward %6.3f ms %5.2f TB/s   backward %6.3f ms %5.2f TB/s\n", operation.name.c_str(),
                there, bytes / there * 1e-9, back, (bytes + input_bytes) / back * 1e-9);
    EXPECT_GT(bytes / there * 1e-9, least_terabytes) << operation.name;
  }
};

TEST_F(OpsGpu, AreThoseOfLibTorch) {
  const Documents packed = documents(2, 131, {3, 4, 31, 34, 131 + 32, 131 + 130});
  for (const std::int64_t taps : {1, 2, 3, 4})
    check(convolution(2, 131, 12, taps, taps == 4 ? packed : Documents{}));
  check(part_convolution());
  check(convolution_in_views(2, 131, 48));
  for (const std::int64_t K : {64, 128, 256}) {
    check(queries_and_keys(2, 131, 3, K, 4, packed));
    check(queries_and_keys(3, 1, 1, K, 4));
  }
  check(queries_and_keys(1, 67, 2, 128, 1));
  check(gates_of_mdn(2, 131, 3));
  check(gates_of_mamba2(2, 131, 5));
  check(decay_of_channels(2, 131, 3, 128));
  for (const std::int64_t N : {4, 64, 100, 128, 256, 500, 1024, 2048, 4096}) {
    check(plain_norm(131, N));
    check(residual_norm(37, N));
    for (const NormGate kind : {NormGate::silu, NormGate::sigmoid, NormGate::silu_first})
      check(gated_norm(67, N, kind));
  }
  check(skipping_norm(67, 512, 8, NormGate::silu_first));
  check(skipping_norm(1031, 2048, 32, NormGate::silu_first));
  check(skipping_norm(67, 512, 8, NormGate::silu));
  check(gated_product(131, 2816));
  check(positions(2, 131, 3, 64, true));
  check(positions(3, 4096, 1, 128, false));
  for (const std::int64_t V : {2, 5, 64, 501, 4099, 50257, 131071}) check(head(300, 64, V, 128));
  check(head(1, 12, 100, 1));
}

TEST_F(OpsGpu, AHeadWhoseLossGoesOnHasItsGradientToo) {
  Operation twice = head(67, 64, 501, 32);
  twice.run = [run = twice.run](const Tensors& x, const Tensors& w) {
    const at::Tensor loss = run(x, w)[0];
    return Tensors{loss * loss};
  };
  check(twice);
}

// The weight's gradient is not rounded to half width: beside that of the same numbers in float64.
TEST_F(OpsGpu, AProjectionsWeightHasAGradientOfFloat32) {
  for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf}) {
    const at::Tensor x = at::randn({3, 37, 64}).to(kGpu, dtype).requires_grad_(true),
                     weight = (at::randn({24, 64}) / 8).to(kGpu).requires_grad_(true),
                     dy = at::randn({3, 37, 24}).to(kGpu, dtype);
    const at::Tensor y = mdnlab::ops::linear(x, weight);
    EXPECT_TRUE(at::equal(y, at::matmul(x, weight.to(dtype).t())));
    const Tensors found = torch::autograd::grad({y}, {x, weight}, {dy});
    EXPECT_TRUE(at::equal(found[0], at::matmul(dy, weight.detach().to(dtype))));
    EXPECT_EQ(found[1].scalar_type(), at::kFloat);
    const auto exact = [](const at::Tensor& of) {
      return of.detach().to(at::kCPU, at::kDouble).flatten(0, 1);
    };
    const at::Tensor expected = exact(dy).t().matmul(exact(x));
    const double error =
        ((found[1].to(at::kCPU, at::kDouble) - expected).norm() / expected.norm()).item<double>();
    EXPECT_LT(error, 1e-5) << toString(dtype) << ": rounded to it, 3e-4 or more";
  }
}

TEST_F(OpsGpu, GoThroughMemoryAtItsRate) {
  constexpr std::int64_t B = 8, T = 4096;  // the shapes of mdn-400m and its like
  const Documents packed = documents(B, T, {1000, 3333, 5 * T + 77});
  measure(convolution(B, T, 1536, 4));
  measure(convolution(B, T, 2304, 4));
  measure(convolution(B, T, 1536, 4, packed));
  measure(convolution_in_views(B, T, 2304));
  measure(queries_and_keys(B, T, 6, 128, 4));
  measure(queries_and_keys(B, T, 8, 128, 4));
  measure(queries_and_keys(B, T, 6, 128, 4, packed));
  measure(queries_and_keys(B, T, 6, 256, 4));
  constexpr double kFewBytes = 0.05;  // the launch is most of it
  measure(gates_of_mdn(B, T, 6), kFewBytes);
  measure(gates_of_mamba2(B, T, 32), kFewBytes);
  measure(decay_of_channels(B, T, 8, 128));
  measure(residual_norm(B * T, 1024));
  measure(residual_norm(B * T, 2048));
  measure(gated_norm(B * T * 6, 256, NormGate::sigmoid));
  measure(gated_norm(B * T, 2048, NormGate::silu_first));
  measure(skipping_norm(B * T, 2048, 32, NormGate::silu_first));
  measure(gated_product(B * T, 2816));
  measure(positions(B, T, 16, 64, false));
}

// The MLP's of mdn-400m, beside a gradient that is rounded and cast back.
TEST_F(OpsGpu, AProjectionsGradientCostsNoMoreThanARoundedOne) {
  const auto bf16 = at::TensorOptions(kGpu).dtype(at::kBFloat16);
  for (const auto& [in, out] : {std::pair(1024, 2816), {2816, 1024}, {1024, 1024}, {1024, 768}, {1024, 24}}) {
    const at::Tensor x = at::randn({32768, in}, bf16).requires_grad_(true),
                     weight = at::randn({out, in}, bf16.dtype(at::kFloat)).requires_grad_(true),
                     dy = at::randn({32768, out}, bf16);
    const auto backward_ms = [&](const at::Tensor& y) {
      const auto work = [&] { torch::autograd::grad({y}, {x, weight}, {dy}, /*retain_graph=*/true); };
      return time_work(kGpu, 9, work).median_ms;
    };
    const double rounded = backward_ms(at::matmul(x, weight.to(at::kBFloat16).t())),
                 kept = backward_ms(mdnlab::ops::linear(x, weight));
    std::printf("projection %4d to %4d backward %6.3f ms, rounded %6.3f ms\n", in, out, kept, rounded);
    EXPECT_LT(kept, 1.1 * rounded);
  }
}

// Of mdn-400m with GPT-2's vocabulary, beside whole logits.
TEST_F(OpsGpu, TheHeadIsFasterThanWholeLogits) {
  constexpr std::int64_t N = 32768, D = 1024, V = 50257;
  const auto bf16 = at::TensorOptions(kGpu).dtype(at::kBFloat16);
  const at::Tensor hidden = at::randn({N, D}, bf16).requires_grad_(true),
                   weight = (at::randn({V, D}, bf16.dtype(at::kFloat)) / 32).requires_grad_(true),
                   labels = at::randint(V, {N}, bf16.dtype(at::kLong));
  const auto time = [&](const char* name, double products, const std::function<void()>& work) {
    const PeakMemory peak(kGpu);
    work();
    const double mib = static_cast<double>(peak.bytes()) / (1 << 20);
    const double ms = time_work(kGpu, 9, work).median_ms;
    std::printf("%-28s %7.2f ms %5.0f TFLOP/s %7.0f MiB\n", name, ms,
                products * 2 * static_cast<double>(N * D * V) / ms * 1e-9, mib);
    return ms;
  };
  const auto chunks = [&](std::int64_t mib) {
    return [=] {
      torch::autograd::grad({linear_cross_entropy(hidden, weight, labels, 1.0 / N, mib << 20)},
                            {hidden, weight});
    };
  };
  const double whole = time("whole logits", 3, [&] {
    const at::Tensor logits = mdnlab::ops::linear(hidden, weight).to(at::kFloat);
    torch::autograd::grad({at::cross_entropy_loss(logits, labels)}, {hidden, weight});
  });
  time("chunks of 2,048 rows", 3, chunks(256));
  time("chunks of 8,192 rows", 3, chunks(1024));
  const double ours = time("chunks of 4,096 rows", 3, chunks(kLogitsBytes >> 20));
  time("log p of labels", 1, [&] { label_log_probabilities(hidden, weight, labels); });
  EXPECT_LT(ours, whole);

  const at::Tensor logits = at::randn({4096, 50304}, bf16).narrow(1, 0, V), some = labels.narrow(0, 0, 4096);
  const double ms =
      time_work(kGpu, 9, [&] { fused(kGpu)->cross_entropy.losses(logits, some, true); }).median_ms;
  std::printf("%-28s %7.3f ms %5.2f TB/s\n", "4,096 rows of logits", ms,
              static_cast<double>(2 * logits.nbytes()) / ms * 1e-9);
}

}  // namespace
}  // namespace mdnlab::ops
