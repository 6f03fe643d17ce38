// What becomes of the product of a few rows with one weight; without torch.
#pragma once

namespace mdnlab::ops {

// xWᵀ is rounded to bf16 before all else, but in widen.
enum class RowsOutput {
  store,     // y ← xWᵀ + bias, in bf16
  convolve,  // y ← silu of the short convolution of xWᵀ behind what is carried, in float32
  swiglu,    // y ← silu(xWᵀ) ∘ (x upᵀ), in bf16
  add,       // y ← y + xWᵀ, in float32
  widen,     // y ← xWᵀ, in float32
};

}  // namespace mdnlab::ops
