// The GPU's threads that make log α of channels, on the CPU, against the operations of LibTorch.
#include "ops/cuda/channel_decay_run.cuh"

#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>

#include "ops/gates.h"
#include "run_on_cpu.h"

namespace mdnlab::ops {
namespace {

TEST(ChannelDecayRun, IsTheFormulaWithItsGradients) {
  constexpr std::int64_t B = 2, T = 11, H = 3, K = 8, C = H * K;
  const at::Tensor wide = at::randn({B, T, 2 * C}) * 12;  // some beyond 20
  const at::Tensor x = wide.narrow(-1, 0, C), rate_log = at::randn({H}), bias = at::randn({C}),
                   dy = at::randn({B, T, C}), y = unwritten({B, T, C}), dx = unwritten({B, T, C});
  cuda::ChannelDecay in{.rows = B * T,
                        .rows_of_run = 5,
                        .channels = C,
                        .width = K,
                        .x_stride = 2 * C,
                        .x = x.const_data_ptr(),
                        .rate_log_H = rate_log.const_data_ptr<float>(),
                        .bias_C = bias.const_data_ptr<float>(),
                        .y_RC = y.mutable_data_ptr<float>(),
                        .dy_RC = dy.const_data_ptr<float>(),
                        .dx = dx.mutable_data_ptr()};
  const at::Tensor shares = unwritten({in.runs(), 2, C});
  in.dw_P2C = shares.mutable_data_ptr<float>();
  for (std::int64_t run = 0; run < in.runs(); ++run) {
    for (int channel = 0; channel < C; channel += cuda::kChannels) {
      const cuda::ChannelDecayRun<float, cuda::Cpu> share(in, run, channel);
      share.forward();
      share.backward();
    }
  }
  const auto leaf = [](const at::Tensor& w) { return w.to(at::kDouble).requires_grad_(true); };
  const std::vector<at::Tensor> leaves{leaf(x), leaf(rate_log), leaf(bias)};
  const at::Tensor exact = channel_decay(leaves[0], leaves[1], leaves[2]);
  const auto gradients = torch::autograd::grad({exact}, leaves, {dy.to(at::kDouble).view(exact.sizes())});
  expect_close("y", y.view(exact.sizes()), exact.detach());
  expect_close("dx", dx, gradients[0]);
  expect_close("drate_log", shares.sum(0)[0].view({H, K}).sum(1), gradients[1]);
  expect_close("dbias", shares.sum(0)[1], gradients[2]);
}

}  // namespace
}  // namespace mdnlab::ops
