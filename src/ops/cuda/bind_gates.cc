#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <limits>

#include "ops/cuda/bind.h"
#include "scan/cuda/device.h"

namespace mdnlab::ops::cuda {

namespace {

constexpr std::int64_t kRowsOfRun = 8;  // of backward: enough threads for a few heads

// A problem, and what keeps its memory.
struct Call {
  Call(const GateRule& rule, const at::Tensor& given_x, const GateParameters& given)
      : x(given_x), learned(given) {
    std::int64_t used = 0;
    for (int i = 0; i < kProjections; ++i) used += rule.uses(static_cast<GateProjection>(i));
    problem.rule = rule;
    problem.rows = given_x.size(0) * given_x.size(1);
    problem.heads = static_cast<int>(given_x.size(2) / used);
    problem.rows_of_run = 1;
    problem.x_stride = x.stride;
    problem.x = x.tensor.const_data_ptr();
    for (std::size_t i = 0; i < kGateParameters; ++i) {
      if (learned[i].defined())
        problem.w_H[i] = (learned[i] = learned[i].contiguous()).const_data_ptr<float>();
    }
  }

  Rows x;
  GateParameters learned;
  Gates problem{};
};

bool takes(const at::Tensor& x, const GateParameters& learned) {
  const auto fits = [](const at::Tensor& w) { return !w.defined() || w.scalar_type() == at::kFloat; };
  return is_for_us(x) && x.numel() < std::numeric_limits<int>::max() && std::ranges::all_of(learned, fits);
}

GateTensors forward(const GateRule& rule, const at::Tensor& x, const GateParameters& learned) {
  const c10::cuda::CUDAGuard guard(x.device());
  Call call(rule, x, learned);
  GateTensors made;
  for (std::size_t i = 0; i < kGates; ++i) {
    if (!rule.gives(static_cast<Gate>(i))) continue;
    made[i] = at::empty({x.size(0), x.size(1), call.problem.heads}, x.options().dtype(at::kFloat));
    call.problem.gates_RH[i] = made[i].mutable_data_ptr<float>();
  }
  scan::check_cuda(gates(call.problem, element_of(x), c10::cuda::getCurrentCUDAStream()), "the gates");
  return made;
}

FusedGates::Gradients backward(const GateRule& rule, const at::Tensor& x, const GateParameters& learned,
                               const GateTensors& given_adjoints) {
  const c10::cuda::CUDAGuard guard(x.device());
  Call call(rule, x, learned);
  GateTensors adjoints = given_adjoints;
  for (std::size_t i = 0; i < kGates; ++i) {
    if (adjoints[i].defined())
      call.problem.dgates_RH[i] = (adjoints[i] = adjoints[i].contiguous()).const_data_ptr<float>();
  }
  call.problem.rows_of_run = kRowsOfRun;
  const at::Tensor dx = at::empty(x.sizes(), x.options());
  const std::int64_t learns = std::ranges::count_if(learned, [](const at::Tensor& w) { return w.defined(); });
  const at::Tensor shares =
      at::empty({call.problem.runs(), learns, call.problem.heads}, x.options().dtype(at::kFloat));
  call.problem.dx = dx.mutable_data_ptr();
  call.problem.dw_RPH = shares.mutable_data_ptr<float>();
  scan::check_cuda(gates_backward(call.problem, element_of(x), c10::cuda::getCurrentCUDAStream()),
                   "the gradients of the gates");
  FusedGates::Gradients made{dx, {}};
  const at::Tensor sums = learns > 0 ? shares.sum(0) : shares;
  std::int64_t next = 0;
  for (std::size_t i = 0; i < kGateParameters; ++i) {
    if (learned[i].defined()) made.dlearned[i] = sums[next++];
  }
  return made;
}

}  // namespace

const FusedGates fused_gates{.takes = takes, .forward = forward, .backward = backward};

}  // namespace mdnlab::ops::cuda
