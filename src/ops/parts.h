// Parts of a projection's rows. The gradient of the whole is put together by no copy where operations of ours
// give those of the parts: they write each where it belongs.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace mdnlab::ops {

// Views of x (…,N), one behind the other in its rows, each of these sizes behind x's own: of (B,T,11),
// {{2,4},{3}} are (B,T,2,4) and (B,T,3). Together they are all of x.
std::vector<at::Tensor> parts(const at::Tensor& x, const std::vector<std::vector<std::int64_t>>& sizes);

// For the gradient of x, of its sizes and dtype and not yet written: within that of the whole where x is what
// parts() gave, once in a backward pass; else a tensor of its own.
at::Tensor room_for_gradient(const at::Tensor& x);

}  // namespace mdnlab::ops
