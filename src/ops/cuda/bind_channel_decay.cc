#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <limits>

#include "ops/cuda/bind.h"
#include "scan/cuda/device.h"

namespace mdnlab::ops::cuda {

namespace {

// Rows of a run: enough runs to fill a GPU, and backward's shares few beside what is read.
constexpr std::int64_t kForwardRows = 8, kBackwardRows = 64;

// A problem, and what keeps its memory.
struct Call {
  explicit Call(const FusedChannelDecay::Inputs& in)
      : x(in.x_BTC), rate_log(in.rate_log_H.contiguous()), bias(aligned(in.bias_C)) {
    problem.channels = static_cast<int>(in.x_BTC.size(-1));
    problem.width = problem.channels / static_cast<int>(rate_log.numel());
    problem.rows = in.x_BTC.numel() / problem.channels;
    problem.x_stride = x.stride;
    problem.x = x.tensor.const_data_ptr();
    problem.rate_log_H = rate_log.const_data_ptr<float>();
    problem.bias_C = bias.const_data_ptr<float>();
  }

  Rows x;
  at::Tensor rate_log, bias;
  ChannelDecay problem{};
};

bool takes(const FusedChannelDecay::Inputs& in) {
  const std::int64_t heads = in.rate_log_H.numel(), channels = in.x_BTC.size(-1);
  return is_for_us(in.x_BTC) && in.rate_log_H.scalar_type() == at::kFloat &&
         in.bias_C.scalar_type() == at::kFloat && in.bias_C.numel() == channels &&
         channels / heads % kChannels == 0 && channels < std::numeric_limits<int>::max() &&
         in.x_BTC.numel() / channels < std::numeric_limits<int>::max();
}

at::Tensor forward(const FusedChannelDecay::Inputs& in) {
  const c10::cuda::CUDAGuard guard(in.x_BTC.device());
  Call call(in);
  at::Tensor y = at::empty(in.x_BTC.sizes(), in.x_BTC.options().dtype(at::kFloat));
  call.problem.rows_of_run = kForwardRows;
  call.problem.y_RC = y.mutable_data_ptr<float>();
  scan::check_cuda(channel_decay(call.problem, element_of(in.x_BTC), c10::cuda::getCurrentCUDAStream()),
                   "the decay");
  return y;
}

FusedChannelDecay::Gradients backward(const FusedChannelDecay::Inputs& in, const at::Tensor& given_dy) {
  const c10::cuda::CUDAGuard guard(in.x_BTC.device());
  Call call(in);
  ChannelDecay& problem = call.problem;
  const at::Tensor dy = aligned(given_dy), dx = at::empty(in.x_BTC.sizes(), in.x_BTC.options());
  problem.rows_of_run = kBackwardRows;
  const at::Tensor shares = at::empty({problem.runs(), 2, problem.channels}, dy.options());
  problem.dy_RC = dy.const_data_ptr<float>();
  problem.dx = dx.mutable_data_ptr();
  problem.dw_P2C = shares.mutable_data_ptr<float>();
  scan::check_cuda(channel_decay_backward(problem, element_of(in.x_BTC), c10::cuda::getCurrentCUDAStream()),
                   "the gradients of the decay");
  const at::Tensor sums = shares.sum(0);
  return {dx, sums[0].view({-1, problem.width}).sum(1), sums[1]};
}

}  // namespace

const FusedChannelDecay fused_channel_decay{.takes = takes, .forward = forward, .backward = backward};

}  // namespace mdnlab::ops::cuda
