#include "ops/parts.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>

#include <functional>
#include <memory>
#include <numeric>
#include <utility>

#include "scan/with_backward.h"

namespace mdnlab::ops {

namespace {

using Sizes = std::vector<std::int64_t>;

// The gradient in the making, shared by the parts and the node that gives it.
struct Whole {
  Sizes sizes;
  at::TensorOptions options;
  std::vector<Sizes> parts;  // behind the leading sizes
  at::Tensor gradient;
  std::vector<bool> is_given;

  // The i-th part of x, which is like the whole.
  at::Tensor part(const at::Tensor& x, std::size_t i) const {
    std::int64_t first = 0;
    for (std::size_t before = 0; before < i; ++before) first += width(before);
    return x.narrow(-1, first, width(i)).unflatten(-1, parts[i]);
  }
  std::int64_t width(std::size_t i) const {
    return std::accumulate(parts[i].begin(), parts[i].end(), std::int64_t{1}, std::multiplies<>());
  }
  const at::Tensor& begun() {
    if (!gradient.defined()) gradient = at::empty(sizes, options);
    return gradient;
  }
};

// Goes with the tensor that parts() gave.
struct Mark final : c10::BackendMeta {
  Mark(std::shared_ptr<Whole> of, std::size_t at) : whole(std::move(of)), index(at) {}
  std::shared_ptr<Whole> whole;
  std::size_t index;
};

bool lies_in(const at::Tensor& x, const at::Tensor& room) {
  return x.is_alias_of(room) && x.storage_offset() == room.storage_offset();
}

Tensors backward(Whole& whole, const BackwardPass& pass) {
  const at::Tensor dx = whole.begun();
  whole.gradient.reset();
  whole.is_given.assign(pass.adjoints.size(), false);
  for (std::size_t i = 0; i < pass.adjoints.size(); ++i) {
    at::Tensor room = whole.part(dx, i);
    if (!pass.adjoints[i].defined()) {
      room.zero_();
    } else if (!lies_in(pass.adjoints[i], room)) {
      room.copy_(pass.adjoints[i]);
    }
  }
  return {dx};
}

}  // namespace

std::vector<at::Tensor> parts(const at::Tensor& x, const std::vector<Sizes>& sizes) {
  const auto whole = std::make_shared<Whole>();
  whole->sizes = x.sizes().vec();
  whole->options = x.options();
  whole->parts = sizes;
  whole->is_given.resize(sizes.size());
  const Tensors list = with_backward(
      {x},
      [&](Tensors&) {
        const at::AutoDispatchBelowADInplaceOrView as_tensors;  // of their own, to autograd
        Tensors made;
        for (std::size_t i = 0; i < sizes.size(); ++i) made.push_back(whole->part(x, i));
        return made;
      },
      [whole](const BackwardPass& pass) { return backward(*whole, pass); }, NoAdjoint::undefined);
  for (std::size_t i = 0; i < list.size(); ++i)
    list[i].unsafeGetTensorImpl()->set_backend_meta(c10::make_intrusive<Mark>(whole, i));
  return list;
}

at::Tensor room_for_gradient(const at::Tensor& x) {
  const auto* mark = dynamic_cast<const Mark*>(x.unsafeGetTensorImpl()->get_backend_meta());
  if (!mark || mark->whole->is_given[mark->index]) return at::empty(x.sizes(), x.options());
  mark->whole->is_given[mark->index] = true;
  return mark->whole->part(mark->whole->begun(), mark->index);
}

}  // namespace mdnlab::ops
