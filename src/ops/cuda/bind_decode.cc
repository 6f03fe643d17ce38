#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <stdexcept>

#include "ops/cuda/bind.h"
#include "ops/cuda/decode.h"
#include "scan/cuda/device.h"

namespace mdnlab::ops::cuda {

namespace {

// Its memory as it is, or a std::logic_error: a copy would not be written in place, nor outlive the call.
template <class T>
T* memory(const at::Tensor& x) {
  if (!x.defined()) return nullptr;
  const bool fits = x.is_cuda() && x.scalar_type() == c10::CppTypeToScalarType<std::remove_const_t<T>>::value;
  if (!fits || !x.is_contiguous() || !is_aligned(x))
    throw std::logic_error("a tensor that decoding does not take");
  return static_cast<T*>(x.data_ptr());
}

const __nv_bfloat16* halves(const at::Tensor& x) {
  return reinterpret_cast<const __nv_bfloat16*>(memory<c10::BFloat16>(x));
}
__nv_bfloat16* written_halves(const at::Tensor& x) {
  return reinterpret_cast<__nv_bfloat16*>(memory<c10::BFloat16>(x));
}

bool takes(at::Device device, at::ScalarType dtype) {
  return dtype == at::kBFloat16 && scan::refusal_of_gpu(scan::gpu_properties(device)).empty();
}

bool takes_taps(std::int64_t taps) { return taps <= kTaps; }

bool takes_product(std::int64_t width) { return width % 64 == 0; }

RowsPart part_of(const ops::RowsPart& from) {
  return {.output = from.output,
          .N = static_cast<int>(from.weight.size(0)),
          .weight = halves(from.weight),
          .up = halves(from.up),
          .x = halves(from.x),
          .bias = memory<float>(from.bias),
          .y = from.y.data_ptr(),
          .y_stride = from.y.stride(0),
          .taps = from.taps.defined() ? static_cast<int>(from.taps.size(2)) : 0,
          .taps_NW = memory<float>(from.taps),
          .carried_RWN = written_halves(from.carried)};
}

RowsProduct product_of(const std::vector<ops::RowsPart>& parts) {
  if (parts.size() > kMostParts) throw std::logic_error("more weights than a product of decoding takes");
  RowsProduct problem{.R = static_cast<int>(parts[0].y.size(0)),
                      .K = static_cast<int>(parts[0].weight.size(1)),
                      .parts = static_cast<int>(parts.size())};
  std::ranges::transform(parts, problem.part, part_of);
  return problem;
}

// On the current device, that of the weight.
void run_product(const RowsProduct& problem, const at::Tensor& weight) {
  const bool adds = problem.part[0].output == RowsOutput::add;
  const auto run = problem.R > kFewRows ? many_rows_product : adds ? few_rows_sum : few_rows_product;
  scan::check_cuda(
      run(problem, scan::gpu_properties(weight.device()).multiprocessors, c10::cuda::getCurrentCUDAStream()),
      "a product of decoding");
}

void product(const ops::RowsNorm& norm, const std::vector<ops::RowsPart>& parts) {
  const at::Tensor& weight = parts.at(0).weight;
  const c10::cuda::CUDAGuard guard(weight.device());
  RowsProduct problem = product_of(parts);
  at::Tensor normed;
  if (norm.x.defined()) {
    const RowsNorm given{.x_RK = memory<float>(norm.x),
                         .weight = memory<float>(norm.weight),
                         .eps = static_cast<float>(norm.eps)};
    // With many rows the norm is a kernel of its own: every block would do it again.
    if (problem.R <= kFewRows && problem.K <= widest_normed(problem.R)) {
      problem.norm = given;
    } else {
      normed = at::empty(norm.x.sizes(), weight.options());
      scan::check_cuda(
          norm_rows(given, problem.R, problem.K, written_halves(normed), c10::cuda::getCurrentCUDAStream()),
          "a norm of decoding");
      for (int i = 0; i < problem.parts; ++i)
        if (!problem.part[i].x) problem.part[i].x = halves(normed);
    }
  }
  run_product(problem, weight);
}

bool takes_mixer(std::int64_t key_width, std::int64_t value_width) {
  return (key_width == 64 || key_width == 128 || key_width == 256) && value_width % 32 == 0 &&
         value_width <= 512;
}

void mixer(const ops::MixerStep& step) {
  const std::int64_t rows = step.S.size(0), values = step.heads * step.S.size(3);
  const at::Tensor y = at::empty({rows, values}, step.gates_RP.options());
  MixerStep problem{.R = static_cast<int>(rows),
                    .H = static_cast<int>(step.heads),
                    .G = static_cast<int>(step.key_heads),
                    .K = static_cast<int>(step.key_width),
                    .V = static_cast<int>(step.S.size(3)),
                    .q_RGK = memory<float>(step.q_RC),
                    .k_RGK = memory<float>(step.k_RC),
                    .v_RHV = memory<float>(step.v_RC),
                    .D_log_G = memory<float>(step.D_log),
                    .rule = step.rule.as<float>(),
                    .gates_RPH = halves(step.gates_RP),
                    .channels_RHK = halves(step.channels_RC),
                    .rate_log_H = memory<float>(step.rate_log),
                    .bias_HK = memory<float>(step.bias),
                    .has_delta = step.has_delta,
                    .look_ahead = static_cast<float>(step.look_ahead),
                    .S_RHKV = memory<float>(step.S),
                    .M_RHKV = memory<float>(step.M),
                    .gate_RHV = halves(step.gate_RC),
                    .gate_is_silu = step.gate_is_silu,
                    .norm_weight_V = memory<float>(step.norm_weight),
                    .eps = static_cast<float>(step.eps)};
  for (std::size_t i = 0; i < kGateParameters; ++i) problem.w_H[i] = memory<float>(step.learned[i]);
  RowsProduct out = product_of({{.output = RowsOutput::add, .weight = step.o_weight, .y = step.x_RD}});
  problem.y_RHV = written_halves(y);
  out.part[0].x = problem.y_RHV;
  const c10::cuda::CUDAGuard guard(step.S.device());
  scan::check_cuda(mixer_step(problem, c10::cuda::getCurrentCUDAStream()), "a layer's step of decoding");
  run_product(out, step.o_weight);
}

void largest(const at::Tensor& x, const at::Tensor& to) {
  const c10::cuda::CUDAGuard guard(x.device());
  static_assert(sizeof(long long) == sizeof(std::int64_t));
  scan::check_cuda(
      largest_of_rows(x.const_data_ptr<float>(), static_cast<int>(x.size(0)), static_cast<int>(x.size(1)),
                      x.stride(0), reinterpret_cast<long long*>(memory<std::int64_t>(to)),
                      c10::cuda::getCurrentCUDAStream()),
      "the largest logits");
}

}  // namespace

const FusedDecoding fused_decoding{.takes = takes,
                                   .takes_taps = takes_taps,
                                   .takes_product = takes_product,
                                   .product = product,
                                   .takes_mixer = takes_mixer,
                                   .mixer = mixer,
                                   .largest = largest};

}  // namespace mdnlab::ops::cuda
