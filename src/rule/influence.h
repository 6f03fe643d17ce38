// How much of each value that was written an output still holds. Every recurrence of the family, and
// attention, is linear in its values, o_t = Σ_i c(t,i) v_i exactly, so that values which are 1 in a channel of
// their own and 0 elsewhere make the outputs of one pass the c(t,i) of as many tokens i as there are channels.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "scan/chunk.h"

namespace mdnlab {

// (B,T,H,count) from (B,T,H,…): 1 at token first + j, channel j. Float32, or float64 of float64 values.
at::Tensor one_hot_values(const at::Tensor& v_BTHV, std::int64_t first, std::int64_t count);

// c(t,i) of the scan's outputs for i in [first, first + count): (B,T,H,count), 0 where t < i. The values of
// `inputs` give the shape only; queries, keys and gates are taken as they are, and scanned in the dtype of
// one_hot_values. Without gradients.
at::Tensor scan_influence(scan::Inputs inputs, std::int64_t first, std::int64_t count);

}  // namespace mdnlab
