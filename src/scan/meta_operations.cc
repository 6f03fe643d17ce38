// Operations that LibTorch describes for its `meta` device in its Python half alone.
#include <ATen/ExpandUtils.h>
#include <ATen/TensorOperators.h>
#include <ATen/WrapDimUtils.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

namespace mdnlab {

namespace {

at::Tensor flip(const at::Tensor& x, at::IntArrayRef) { return at::empty_like(x); }

at::Tensor index_select(const at::Tensor& x, std::int64_t dimension, const at::Tensor& index) {
  TORCH_CHECK(index.is_meta());
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape[static_cast<std::size_t>(at::maybe_wrap_dim(dimension, x.dim()))] = index.numel();
  return x.new_empty(shape);
}

at::Tensor where(const at::Tensor& condition, const at::Tensor& x, const at::Tensor& other) {
  TORCH_CHECK(condition.is_meta() && (x.is_meta() || x.dim() == 0) && (other.is_meta() || other.dim() == 0));
  const at::Tensor& whole = x.is_meta() ? x : other;
  return whole.new_empty(at::infer_size(condition.sizes(), at::infer_size(x.sizes(), other.sizes())));
}

at::Tensor& where_out(const at::Tensor&, const at::Tensor&, const at::Tensor&, at::Tensor& out) {
  return out;
}

at::Tensor embedding_backward(const at::Tensor& gradient, const at::Tensor& index, std::int64_t rows,
                              std::int64_t, bool) {
  TORCH_CHECK(index.is_meta());
  return gradient.new_empty({rows, gradient.size(-1)});
}

TORCH_LIBRARY_IMPL(aten, Meta, library) {
  library.impl("flip", flip);
  library.impl("index_select", index_select);
  library.impl("where.self", where);
  library.impl("where.self_out", where_out);
  library.impl("embedding_dense_backward", embedding_backward);
}

}  // namespace

}  // namespace mdnlab
