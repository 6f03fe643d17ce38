// From tensors to the kernels' problems.
#pragma once

#include <ATen/core/Tensor.h>

#include "ops/cuda/kernels.h"
#include "ops/fused.h"

namespace mdnlab::ops::cuda {

bool is_aligned(const at::Tensor& x);

// The tensor itself, or a copy where its memory is not as problem.h says.
at::Tensor aligned(const at::Tensor& value);

// Rows of x.size(-1) numbers, evenly apart: the tensor itself, or a copy where it cannot be read so.
struct Rows {
  explicit Rows(const at::Tensor& x);
  at::Tensor tensor;
  std::int64_t stride;
};

// float32 or bf16, on a GPU that our machine code is for, with something in it.
bool is_for_us(const at::Tensor& x);

inline Element element_of(at::ScalarType dtype) {
  return dtype == at::kBFloat16 ? Element::bf16 : Element::f32;
}
inline Element element_of(const at::Tensor& x) { return element_of(x.scalar_type()); }

// record() of recording.h.
std::unique_ptr<Recording> record(at::Device device, const std::function<void()>& work);

extern const FusedConvolution fused_convolution;
extern const FusedQueryKey fused_query_key;
extern const FusedGates fused_gates;
extern const FusedChannelDecay fused_channel_decay;
extern const FusedNorm fused_norm;
extern const FusedSwiglu fused_swiglu;
extern const FusedRotary fused_rotary;
extern const FusedCrossEntropy fused_cross_entropy;
extern const FusedScaling fused_scaling;
extern const FusedDecoding fused_decoding;

}  // namespace mdnlab::ops::cuda
