// The GPU's threads that turn pairs of channels, on the CPU, against the operations of LibTorch.
#include "ops/cuda/rotary_run.cuh"

#include <ATen/ops/arange.h>
#include <ATen/ops/randn.h>

#include "ops/layer.h"
#include "run_on_cpu.h"

namespace mdnlab::ops {
namespace {

at::Tensor turned(const at::Tensor& x, const at::Tensor& position, double theta, float sign) {
  const at::Tensor y = unwritten(x.sizes());
  const double log_next = -2 * std::log(theta) / static_cast<double>(x.size(3));
  const cuda::Rotary in{.tokens = x.size(0) * x.size(1),
                        .positions = position.numel(),
                        .heads = static_cast<int>(x.size(2)),
                        .K = static_cast<int>(x.size(3)),
                        .sign = sign,
                        .next = std::exp(log_next),
                        .log_next = log_next,
                        .position_BT = position.const_data_ptr<std::int64_t>(),
                        .x_BTHK = x.const_data_ptr(),
                        .y_BTHK = y.mutable_data_ptr()};
  for (std::int64_t token = 0; token < in.tokens; ++token) {
    for (int pair = 0; pair < in.K / 2; pair += cuda::kChannels)
      cuda::rotate<float, cuda::Cpu>(in, token, pair);
  }
  return y;
}

TEST(RotaryRun, TurnsByThePositionAndBack) {
  const at::Tensor x = at::randn({2, 5, 3, 16}), of_all = (at::arange(5) * 1000).unsqueeze(0),
                   of_rows = at::arange(10).view({2, 5}) * 31;
  for (const at::Tensor& position : {of_all, of_rows}) {
    const at::Tensor y = turned(x, position, 1e4, 1);
    expect_close("y", y, rotary(x.to(at::kDouble), position, 1e4));
    expect_close("x", turned(y, position, 1e4, -1), x);
  }
}

}  // namespace
}  // namespace mdnlab::ops
