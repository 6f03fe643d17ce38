#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <limits>
#include <optional>

#include "ops/cuda/bind.h"
#include "ops/parts.h"
#include "scan/cuda/device.h"

namespace mdnlab::ops::cuda {

namespace {

Gating gating_of(const FusedNorm::Inputs& in) {
  if (!in.gate.defined()) return Gating::none;
  switch (in.kind) {
    case NormGate::silu: return Gating::silu;
    case NormGate::sigmoid: return Gating::sigmoid;
    default: return Gating::silu_first;
  }
}

// A problem, and what keeps its memory.
struct NormCall {
  NormCall(const FusedNorm::Inputs& in, bool backward)
      : x(aligned(in.x)),
        weight(aligned(in.weight)),
        element_x(element_of(in.x)),
        element_y(element_of(in.dtype)) {
    problem.N = static_cast<int>(x.size(-1));
    problem.rows = x.numel() / problem.N;
    problem.gating = gating_of(in);
    const NormSplit split =
        split_of(problem, element_y, backward, scan::gpu_properties(x.device()).multiprocessors);
    problem.runs = split.runs;
    shares = split.shares;
    problem.eps = static_cast<float>(in.eps);
    problem.x = x.const_data_ptr();
    problem.weight_N = weight.const_data_ptr<float>();
    if (in.gate.defined()) {
      gate.emplace(in.gate);
      problem.z = gate->tensor.const_data_ptr();
      problem.z_stride = gate->stride;
    }
    if (in.add.defined()) {
      add.emplace(in.add);
      problem.add = add->tensor.const_data_ptr();
      problem.add_stride = add->stride;
    }
    if (in.scale.defined()) {
      scale = aligned(in.scale);
      problem.scale_H = scale.const_data_ptr<float>();
      problem.width = static_cast<int>(problem.N / scale.numel());
    }
  }

  Norm problem{};
  std::int64_t shares;
  at::Tensor x, weight, scale;
  std::optional<Rows> gate, add;
  Element element_x, element_y;
};

bool takes_added(const FusedNorm::Inputs& in) {
  if (!in.add.defined()) return true;
  if (!in.gate.defined()) return !in.scale.defined();
  return gating_of(in) == Gating::silu_first && in.scale.scalar_type() == at::kFloat &&
         in.x.size(-1) % (kChannels * in.scale.numel()) == 0;
}

bool takes_norm(const FusedNorm::Inputs& in) {
  const std::int64_t N = in.x.size(-1);
  const auto fits = [&](const at::Tensor& y) {
    return !y.defined() || (y.scalar_type() == in.dtype && y.sizes() == in.x.sizes());
  };
  const at::ScalarType dtype = in.x.scalar_type();
  return is_for_us(in.x) && N % kChannels == 0 && N <= kMostNorm && in.weight.numel() == N &&
         in.weight.scalar_type() == at::kFloat &&
         (in.dtype == dtype || (in.dtype == at::kBFloat16 && dtype == at::kFloat && !in.gate.defined())) &&
         takes_added(in) && fits(in.add) && fits(in.gate) &&
         in.x.numel() / N < std::numeric_limits<int>::max();
}

FusedNorm::Outputs norm_forward(const FusedNorm::Inputs& in) {
  const c10::cuda::CUDAGuard guard(in.x.device());
  NormCall call(in, false);
  FusedNorm::Outputs made{at::empty(in.x.sizes(), in.x.options().dtype(in.dtype)), {}};
  if (in.add.defined() && !in.scale.defined()) {
    made.sum = at::empty(in.x.sizes(), in.x.options());
    call.problem.sum = made.sum.mutable_data_ptr();
  }
  call.problem.y = made.y.mutable_data_ptr();
  scan::check_cuda(norm(call.problem, call.element_x, call.element_y, c10::cuda::getCurrentCUDAStream()),
                   "the norm");
  return made;
}

FusedNorm::Gradients norm_gradients(const FusedNorm::Inputs& in, const FusedNorm::Outputs& adjoints,
                                    bool wants_dadd) {
  const c10::cuda::CUDAGuard guard(in.x.device());
  NormCall call(in, true);
  Norm& problem = call.problem;
  const at::Tensor dy = aligned(adjoints.y),
                   dsum = adjoints.sum.defined() ? aligned(adjoints.sum) : adjoints.sum;
  FusedNorm::Gradients made{.dx = at::empty(in.x.sizes(), in.x.options())};
  problem.dy = dy.const_data_ptr();
  if (dsum.defined()) problem.dsum = dsum.const_data_ptr();
  problem.dx = made.dx.mutable_data_ptr();
  const bool dadd_is_dx = !in.scale.defined() && in.dtype == in.x.scalar_type();
  if (wants_dadd) made.dadd = dadd_is_dx ? made.dx : at::empty(in.x.sizes(), dy.options());
  if (wants_dadd && !dadd_is_dx) problem.dadd = made.dadd.mutable_data_ptr();
  if (in.gate.defined()) {
    const Rows room(room_for_gradient(in.gate));
    made.dgate = room.tensor;
    problem.dz = made.dgate.mutable_data_ptr();
    problem.dz_stride = room.stride;
  }
  const at::Tensor shares = at::empty({call.shares, problem.N}, call.weight.options());
  problem.dweight_SN = shares.mutable_data_ptr<float>();
  at::Tensor scale_shares;
  if (in.scale.defined()) {
    scale_shares = at::empty({call.shares, problem.N / kChannels}, shares.options());
    problem.dscale_SQ = scale_shares.mutable_data_ptr<float>();
  }
  scan::check_cuda(norm_backward(problem, call.element_x, call.element_y, c10::cuda::getCurrentCUDAStream()),
                   "the gradients of the norm");
  made.dweight = shares.sum(0).view(in.weight.sizes());
  if (in.scale.defined())
    made.dscale = scale_shares.sum(0).view({in.scale.numel(), -1}).sum(1).view(in.scale.sizes());
  return made;
}

bool takes_swiglu(const at::Tensor& gate, const at::Tensor& up) {
  return is_for_us(gate) && gate.scalar_type() == up.scalar_type() && gate.sizes() == up.sizes() &&
         gate.numel() % kChannels == 0;
}

at::Tensor swiglu_forward(const at::Tensor& given_gate, const at::Tensor& given_up) {
  const c10::cuda::CUDAGuard guard(given_gate.device());
  const at::Tensor gate = aligned(given_gate), up = aligned(given_up),
                   y = at::empty(gate.sizes(), gate.options());
  const Swiglu problem{.count = gate.numel(),
                       .gate = gate.const_data_ptr(),
                       .up = up.const_data_ptr(),
                       .y = y.mutable_data_ptr()};
  scan::check_cuda(swiglu(problem, element_of(gate), c10::cuda::getCurrentCUDAStream()), "SwiGLU");
  return y;
}

FusedSwiglu::Gradients swiglu_gradients(const at::Tensor& given_gate, const at::Tensor& given_up,
                                        const at::Tensor& given_dy) {
  const c10::cuda::CUDAGuard guard(given_gate.device());
  const at::Tensor gate = aligned(given_gate), up = aligned(given_up), dy = aligned(given_dy),
                   dgate = at::empty(gate.sizes(), gate.options()),
                   dup = at::empty(gate.sizes(), gate.options());
  const Swiglu problem{.count = gate.numel(),
                       .gate = gate.const_data_ptr(),
                       .up = up.const_data_ptr(),
                       .dy = dy.const_data_ptr(),
                       .dgate = dgate.mutable_data_ptr(),
                       .dup = dup.mutable_data_ptr()};
  scan::check_cuda(swiglu_backward(problem, element_of(gate), c10::cuda::getCurrentCUDAStream()),
                   "the gradients of SwiGLU");
  return {dgate, dup};
}

}  // namespace

const FusedNorm fused_norm{.takes = takes_norm, .forward = norm_forward, .backward = norm_gradients};
const FusedSwiglu fused_swiglu{
    .takes = takes_swiglu, .forward = swiglu_forward, .backward = swiglu_gradients};

}  // namespace mdnlab::ops::cuda
