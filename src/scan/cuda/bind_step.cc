#include "scan/cuda/bind_step.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "base/error.h"
#include "scan/cuda/device.h"
#include "scan/cuda/step.h"
#include "scan/inputs.h"

namespace mdnlab::scan {

namespace {

constexpr std::int64_t kMostBlocks = 65535;  // along a grid's second and third dimension

cuda::Rows rows(const at::Tensor& value_B1HX) {
  if (!value_B1HX.defined()) return {};
  return {value_B1HX.const_data_ptr(), value_B1HX.stride(0), value_B1HX.stride(2)};
}

// A row's entries adjacent; the tensor itself where they are.
at::Tensor in_rows(const at::Tensor& value_B1HX) {
  return !value_B1HX.defined() || value_B1HX.stride(3) == 1 ? value_B1HX : value_B1HX.contiguous();
}

at::Tensor whole(const at::Tensor& tensor) { return tensor.defined() ? tensor.contiguous() : tensor; }

const float* pointer(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr;
}

// States are copied 16 bytes at a time.
at::Tensor aligned(const at::Tensor& state) {
  if (!state.defined()) return state;
  const at::Tensor dense = state.contiguous();
  return reinterpret_cast<std::uintptr_t>(dense.const_data_ptr()) % 16 == 0 ? dense : dense.clone();
}

}  // namespace

std::string refusal_of_gpu_step(const Inputs& in) {
  const GpuProperties gpu = gpu_properties(in.q_BTGK.device());
  if (const std::string reason = refusal_of_gpu(gpu); !reason.empty()) return reason;
  if (in.q_BTGK.scalar_type() == at::kDouble) return "q is f64, and it takes f32, bf16 or f16";
  const std::int64_t K = in.q_BTGK.size(3);
  const std::int64_t widest = cuda::widest_step_key(gpu.shared_bytes, in.log_mu.defined());
  if (K > widest) return "K is " + std::to_string(K) + ", and it takes up to " + std::to_string(widest);
  for (const auto& [name, count] : {std::pair{"B", in.q_BTGK.size(0)}, {"H", in.v_BTHV.size(2)}}) {
    if (count > kMostBlocks)
      return name + (" is " + std::to_string(count)) + ", and it takes up to " + std::to_string(kMostBlocks);
  }
  return {};
}

Outputs step_on_gpu(const Inputs& given) {
  Inputs in = given;
  for (at::Tensor* value : {&in.q_BTGK, &in.k_BTGK, &in.v_BTHV, &in.p_BTHK}) *value = in_rows(*value);
  for (at::Tensor* gate : {&in.log_alpha, &in.log_mu, &in.beta_BTH, &in.eta_BTH}) *gate = whole(*gate);
  in.initial_S_NHKV = aligned(in.initial_S_NHKV);
  in.initial_M_NHKV = aligned(in.initial_M_NHKV);
  const std::int64_t B = in.q_BTGK.size(0), K = in.q_BTGK.size(3), H = in.v_BTHV.size(2),
                     V = in.v_BTHV.size(3);
  const c10::cuda::CUDAGuard guard(in.q_BTGK.device());

  Outputs out;
  out.o_BTHV = at::empty({B, 1, H, V}, in.v_BTHV.options());
  out.final_S_NHKV = at::empty({B, H, K, V}, in.v_BTHV.options().dtype(at::kFloat));
  if (in.log_mu.defined()) out.final_M_NHKV = at::empty_like(out.final_S_NHKV);
  const at::ScalarType dtype = in.q_BTGK.scalar_type();
  const cuda::StepParams params{
      .q_BGK = rows(in.q_BTGK),
      .k_BGK = rows(in.k_BTGK),
      .v_BHV = rows(in.v_BTHV),
      .p_BHK = rows(in.p_BTHK),
      .element = dtype == at::kBFloat16 ? cuda::Element::bf16
                 : dtype == at::kHalf   ? cuda::Element::f16
                                        : cuda::Element::f32,
      .log_alpha = pointer(in.log_alpha),
      .log_mu = pointer(in.log_mu),
      .beta_BH = pointer(in.beta_BTH),
      .eta_BH = pointer(in.eta_BTH),
      .channel_alpha = has_channel_decay(in),
      .channel_mu = has_channel_momentum(in),
      .has_delta = in.has_delta,
      .look_ahead = static_cast<float>(in.look_ahead),
      .S_BHKV = pointer(in.initial_S_NHKV),
      .M_BHKV = pointer(in.initial_M_NHKV),
      .o_BHV = out.o_BTHV.mutable_data_ptr(),
      .new_S_BHKV = out.final_S_NHKV.mutable_data_ptr<float>(),
      .new_M_BHKV = out.final_M_NHKV.defined() ? out.final_M_NHKV.mutable_data_ptr<float>() : nullptr,
      .B = static_cast<int>(B),
      .G = static_cast<int>(in.q_BTGK.size(2)),
      .H = static_cast<int>(H),
      .K = static_cast<int>(K),
      .V = static_cast<int>(V)};
  const GpuProperties gpu = gpu_properties(in.q_BTGK.device());
  check_cuda(cuda::step(params, gpu.shared_bytes, gpu.multiprocessors, c10::cuda::getCurrentCUDAStream()),
             "scan: the decode step");
  return out;
}

}  // namespace mdnlab::scan
