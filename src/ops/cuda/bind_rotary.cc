#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <cmath>
#include <limits>

#include "ops/cuda/bind.h"
#include "scan/cuda/device.h"

namespace mdnlab::ops::cuda {

namespace {

bool takes(const at::Tensor& x) {
  return is_for_us(x) && x.size(-1) % (2 * kChannels) == 0 &&
         x.numel() < std::numeric_limits<int>::max() * 128L;
}

at::Tensor turn(const at::Tensor& given_x, const at::Tensor& given_position, double theta, bool back) {
  const c10::cuda::CUDAGuard guard(given_x.device());
  const at::Tensor x = aligned(given_x), position = aligned(given_position),
                   y = at::empty(x.sizes(), x.options());
  const double log_next = -2 * std::log(theta) / static_cast<double>(x.size(3));
  const Rotary problem{.tokens = x.size(0) * x.size(1),
                       .positions = position.numel(),
                       .heads = static_cast<int>(x.size(2)),
                       .K = static_cast<int>(x.size(3)),
                       .sign = back ? -1.F : 1.F,
                       .next = std::exp(log_next),
                       .log_next = log_next,
                       .position_BT = position.const_data_ptr<std::int64_t>(),
                       .x_BTHK = x.const_data_ptr(),
                       .y_BTHK = y.mutable_data_ptr()};
  scan::check_cuda(rotary(problem, element_of(x), c10::cuda::getCurrentCUDAStream()), "rotary positions");
  return y;
}

}  // namespace

const FusedRotary fused_rotary{.takes = takes, .turn = turn};

}  // namespace mdnlab::ops::cuda
