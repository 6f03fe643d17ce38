// The GPU's threads that have a head of q and k, on the CPU, against the operations of LibTorch in float64.
#include "ops/cuda/query_key_run.cuh"

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "ops/convolution.h"
#include "ops/layer.h"
#include "run_on_cpu.h"

namespace mdnlab::ops {
namespace {

constexpr std::int64_t kHeads = 2;

// One of q and k: what goes in (all float32), and what the threads leave.
struct Side {
  at::Tensor x, weight, dy;  // weight (C,1,W)
  at::Tensor y, dx, shares, weight_WC;

  Side(std::int64_t tokens, std::int64_t channels, std::int64_t taps)
      : x(at::randn({2, tokens, channels})),
        weight(at::randn({channels, 1, taps})),
        dy(at::randn({2, tokens, channels})),
        y(unwritten(x.sizes())),
        dx(unwritten(x.sizes())),
        weight_WC(at::constant_pad_nd(by_tap(weight, at::kFloat), {0, 0, 0, cuda::kTaps - taps})) {}

  cuda::ShortConvolution problem(const at::Tensor& position) {
    cuda::ShortConvolution in{.T = x.size(1), .C = x.size(2), .x_stride = x.size(2)};
    in.runs = x.size(0) * in.runs_of_row();
    shares = unwritten({in.runs, cuda::kTaps, in.C});
    in.x_BTC = x.const_data_ptr();
    in.weight_WC = weight_WC.const_data_ptr<float>();
    in.position_BT = position.defined() ? position.const_data_ptr<std::int64_t>() : nullptr;
    in.y_BTC = y.mutable_data_ptr();
    in.dy[0] = {dy.const_data_ptr(), in.C, 0, in.C};
    in.dx_BTC = dx.mutable_data_ptr();
    in.dx_stride = in.C;
    in.dweight_RWC = shares.mutable_data_ptr<float>();
    return in;
  }
};

template <int kWidth>
void compare(std::int64_t W, std::int64_t tokens, bool corrects, const Documents& documents) {
  SCOPED_TRACE(testing::Message() << W << " taps, " << tokens << " tokens, K " << kWidth << ", correction "
                                  << corrects);
  Side q(tokens, kHeads * kWidth, W), k(tokens, kHeads * kWidth, W);
  const at::Tensor D_log = at::randn({kHeads}), correction = D_log.exp();
  cuda::QueryKey in{
      .q = q.problem(documents.position_BT), .k = k.problem(documents.position_BT), .width = kWidth};
  const at::Tensor dcorrection = unwritten({in.q.runs, in.q.C});
  if (corrects) {
    in.correction_G = correction.const_data_ptr<float>();
    in.dcorrection_RC = dcorrection.mutable_data_ptr<float>();
  }
  cuda::Team(kWidth / cuda::kChannels).run([&](std::int64_t lane) {
    for (std::int64_t run = 0; run < in.q.runs; ++run) {
      for (std::int64_t head = 0; head < kHeads; ++head) {
        const std::int64_t channel = head * kWidth + lane * cuda::kChannels;
        if (documents.exist()) {
          cuda::QueryKeyRun<kWidth, true, float, cuda::Cpu>(in, run, channel).forward();
          cuda::QueryKeyRun<kWidth, true, float, cuda::Cpu>(in, run, channel).backward();
        } else {
          cuda::QueryKeyRun<kWidth, false, float, cuda::Cpu>(in, run, channel).forward();
          cuda::QueryKeyRun<kWidth, false, float, cuda::Cpu>(in, run, channel).backward();
        }
      }
    }
  });

  std::vector<at::Tensor> leaves;
  for (const at::Tensor& leaf : {q.x, k.x, q.weight, k.weight, D_log})
    leaves.push_back(leaf.to(at::kDouble).requires_grad_(true));
  if (!corrects) leaves.pop_back();
  const auto [y_q, y_k] = query_key({leaves[0], leaves[2]}, {leaves[1], leaves[3]}, kHeads,
                                    corrects ? leaves[4] : at::Tensor(), documents);
  const auto by_head = [&](const at::Tensor& flat) {
    return flat.unflatten(-1, {kHeads, -1}).to(at::kDouble);
  };
  expect_close("q", by_head(q.y), y_q);
  expect_close("k", by_head(k.y), y_k);
  const auto exact = torch::autograd::grad({y_q, y_k}, leaves, {by_head(q.dy), by_head(k.dy)});
  expect_close("dq", q.dx, exact[0]);
  expect_close("dk", k.dx, exact[1]);
  const auto by_channel = [=](const at::Tensor& shares) {
    return shares.narrow(1, 0, W).sum(0).flip(0).t().unsqueeze(1);
  };
  expect_close("q's weight", by_channel(q.shares), exact[2]);
  expect_close("k's weight", by_channel(k.shares), exact[3]);
  if (corrects) expect_close("D_log", dcorrection.sum(0).view({kHeads, -1}).sum(1) * correction, exact[4]);
}

TEST(QueryKeyRun, IsConvolutionCorrectionAndNormAndTheirGradients) {
  for (const std::int64_t tokens : {1, 3, 4, 63, 64, 67}) compare<64>(4, tokens, true, {});
  compare<128>(4, 65, false, {});
  compare<256>(4, 9, true, {});
  compare<64>(1, 66, true, {});
  compare<64>(2, 66, false, {});
}

TEST(QueryKeyRun, EndsAtDocuments) {
  compare<64>(4, 67, true, documents(2, 67, {3, 4, 31, 63, 66, 67 + 64, 67 + 66}));
}

}  // namespace
}  // namespace mdnlab::ops
