// What the copy engine is told of a tensor.
#pragma once

#include <ATen/core/Tensor.h>
#include <cuda.h>

namespace mdnlab::scan {

// As the copy engine can read it: an entry's elements adjacent, (B,T) one dimension of even steps, everything
// at multiples of 16 bytes. The tensor itself where it is so.
at::Tensor as_panels(const at::Tensor& value_BTHX);

// Of a bf16 or f16 tensor as as_panels() leaves it: (X, H, B·T), panels of 64 columns of one head's 64
// tokens.
CUtensorMap tensor_map(const at::Tensor& value_BTHX);

}  // namespace mdnlab::scan
