// The inputs as the CPU kernels read them.
#pragma once

#include "scan/chunk.h"

namespace mdnlab::scan {

// The dtype that the kernels compute in, and that states and gates have: float64 when q is, else float32.
at::ScalarType compute_dtype(const Inputs& inputs);

// With the entries of a row adjacent and (B,T) one dimension of even steps: the tensor itself where it is so.
at::Tensor as_rows(const at::Tensor& value_BTHX);

// Everything in compute_dtype; q, k, v and p as_rows, the others contiguous.
struct Prepared : Inputs {
  // alpha and mu: what an earlier Prepared of these inputs had, if any.
  explicit Prepared(const Inputs& inputs, const at::Tensor& alpha = {}, const at::Tensor& mu = {});

  at::Tensor alpha_BTH, mu_BTH;  // exp of the log-gates, float64; undefined with channel-wise decay
};

}  // namespace mdnlab::scan
