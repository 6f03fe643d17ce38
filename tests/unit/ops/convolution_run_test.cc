// A thread of the GPU's short convolution, run on the CPU for every run and channel in turn.
#include "ops/cuda/convolution_run.cuh"

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <gtest/gtest.h>

#include <limits>

#include "ops/convolution.h"
#include "ops/fused.h"
#include "ops/documents.h"
#include "run_on_cpu.h"

namespace mdnlab::ops {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Results {
  at::Tensor y, dx, dweight, dbias;
};

using Adjoint = FusedConvolution::Adjoint;

template <bool kDocuments>
void run_thread(const cuda::ShortConvolution& in, std::int64_t run, std::int64_t channel, bool adds) {
  cuda::convolve_run<kDocuments, float, cuda::Cpu>(in, run, channel);
  (adds ? cuda::convolve_run_backward<kDocuments, float, cuda::Cpu, 2>
        : cuda::convolve_run_backward<kDocuments, float, cuda::Cpu, 1>)(in, run, channel);
}

// Of the taps that weight has.
Results run_threads(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    const at::Tensor& position, const std::vector<Adjoint>& dy) {
  const std::int64_t B = x.size(0), T = x.size(1), C = x.size(2), W = weight.size(0);
  cuda::ShortConvolution in{.T = T, .C = C, .x_stride = x.stride(1)};
  in.runs = B * in.runs_of_row();
  const at::Tensor all_taps = at::constant_pad_nd(weight, {0, 0, 0, cuda::kTaps - W});
  const at::Tensor weights = at::full({in.runs, cuda::kTaps, C}, kNaN), biases = at::full({in.runs, C}, kNaN);
  const at::Tensor wider = unwritten({B, T, C + 8});  // as part of which dx is written
  const Results out{unwritten(x.sizes()), wider.narrow(2, 4, C), {}, {}};
  in.x_BTC = x.const_data_ptr();
  in.weight_WC = all_taps.const_data_ptr<float>();
  in.bias_C = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  in.position_BT = position.defined() ? position.const_data_ptr<std::int64_t>() : nullptr;
  in.y_BTC = out.y.mutable_data_ptr();
  for (std::size_t i = 0; i < dy.size(); ++i) {
    const at::Tensor& part = dy[i].dy_BTC;
    in.dy[i] = {part.const_data_ptr(), part.stride(1), dy[i].first, dy[i].first + part.size(2)};
  }
  in.dx_BTC = out.dx.mutable_data_ptr();
  in.dx_stride = C + 8;
  in.dweight_RWC = weights.mutable_data_ptr<float>();
  in.dbias_RC = biases.mutable_data_ptr<float>();
  for (std::int64_t run = 0; run < in.runs; ++run) {
    for (std::int64_t channel = 0; channel < C; channel += cuda::kChannels) {
      (position.defined() ? run_thread<true> : run_thread<false>)(in, run, channel, dy.size() > 1);
    }
  }
  return {out.y, out.dx, weights.narrow(1, 0, W).sum(0), biases.sum(0)};
}

void compare(std::int64_t W, std::int64_t tokens, bool has_bias, const at::Tensor& position) {
  // x is part of a wider tensor.
  const at::Tensor x = at::randn({2, tokens, 20}).narrow(2, 4, 8), dy = at::randn({2, tokens, 8}),
                   weight = at::randn({W, 8});
  const at::Tensor bias = has_bias ? at::randn({8}) : at::Tensor();
  const Results found = run_threads(x, weight, bias, position, {{0, dy}});
  at::Tensor sum = convolve_by_loops(x.contiguous(), weight, position);
  if (has_bias) sum = sum + bias;
  const at::Tensor dsum = at::silu_backward(dy, sum);
  const auto [dx, dweight] = convolve_backward_by_loops(x.contiguous(), weight, position, dsum);
  const auto expect = [&](const char* name, const at::Tensor& one, const at::Tensor& other) {
    EXPECT_LT((one - other).abs().max().item<double>(), 1e-4)
        << name << ", " << W << " taps, " << tokens << " tokens";
  };
  expect("y", found.y, at::silu(sum));
  expect("dx", found.dx, dx);
  expect("dweight", found.dweight, dweight);
  expect("dbias", found.dbias, dsum.flatten(0, 1).sum(0));
}

TEST(ConvolutionRun, IsTheConvolutionAndItsGradients) {
  for (const std::int64_t tokens : {1, 2, 3, 4, 5, 62, 63, 64, 65, 67, 68, 131, 200}) {
    for (const bool has_bias : {false, true}) {
      compare(1, tokens, has_bias, {});
      compare(3, tokens, has_bias, {});
      compare(4, tokens, has_bias, {});
    }
  }
}

TEST(ConvolutionRun, AddsUpTheGradientsOfItsParts) {
  const std::int64_t tokens = 131, C = 16;
  const at::Tensor x = at::randn({2, tokens, C}), weight = at::randn({4, C}), bias = at::randn({C});
  // The channels from 4 on twice, the last four not at all; one of them is part of a wider tensor.
  const at::Tensor first = at::randn({2, tokens, 8}), second = at::randn({2, tokens, 20}).narrow(2, 8, 8);
  const at::Tensor whole = at::constant_pad_nd(first, {0, 8}) + at::constant_pad_nd(second, {4, 4});
  const Results apart = run_threads(x, weight, bias, {}, {{0, first}, {4, second}});
  const Results together = run_threads(x, weight, bias, {}, {{0, whole}});
  EXPECT_TRUE(at::equal(apart.dx, together.dx));
  EXPECT_TRUE(at::equal(apart.dweight, together.dweight));
  EXPECT_TRUE(at::equal(apart.dbias, together.dbias));
}

TEST(ConvolutionRun, EndsAtDocuments) {
  const at::Tensor position =
      documents(2, 131, {3, 4, 31, 63, 64, 66, 131 + 62, 131 + 127, 131 + 130}).position_BT;
  compare(4, 131, true, position);
  compare(2, 131, false, position);
}

TEST(ConvolutionRun, LetsNoNaNIntoAnotherDocument) {
  const at::Tensor position = documents(1, 70, {65}).position_BT;
  at::Tensor x = at::randn({1, 70, 4}), dy = at::randn({1, 70, 4});
  const at::Tensor weight = at::randn({4, 4});
  const Results clean = run_threads(x, weight, {}, position, {{0, dy}});
  x.narrow(1, 0, 65).fill_(kNaN);
  const Results after = run_threads(x, weight, {}, position, {{0, dy}});
  EXPECT_TRUE(at::equal(after.y.narrow(1, 65, 5), clean.y.narrow(1, 65, 5)));
  EXPECT_TRUE(at::equal(after.dx.narrow(1, 65, 5), clean.dx.narrow(1, 65, 5)));
}

}  // namespace
}  // namespace mdnlab::ops
