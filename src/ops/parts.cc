#include "ops/parts.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include <functional>
#include <numeric>
#include <utility>

namespace mdnlab::ops {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Sizes = std::vector<std::int64_t>;

// The gradient in the making, shared by the parts and the node that gives it.
struct Whole final : torch::CustomClassHolder {
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
  Mark(c10::intrusive_ptr<Whole> of, std::size_t at) : whole(std::move(of)), index(at) {}
  c10::intrusive_ptr<Whole> whole;
  std::size_t index;
};

bool lies_in(const at::Tensor& x, const at::Tensor& room) {
  return x.is_alias_of(room) && x.storage_offset() == room.storage_offset();
}

class Parts : public torch::autograd::Function<Parts> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& x,
                               const c10::intrusive_ptr<Whole>& whole) {
    context->set_materialize_grads(false);
    context->saved_data["whole"] = c10::IValue::make_capsule(whole);
    const at::AutoDispatchBelowADInplaceOrView as_tensors;  // of their own, to autograd
    variable_list list;
    for (std::size_t i = 0; i < whole->parts.size(); ++i) list.push_back(whole->part(x, i));
    return list;
  }

  static variable_list backward(AutogradContext* context, const variable_list& adjoints) {
    const auto whole = c10::static_intrusive_pointer_cast<Whole>(context->saved_data["whole"].toCapsule());
    const at::Tensor dx = whole->begun();
    whole->gradient.reset();
    whole->is_given.assign(adjoints.size(), false);
    for (std::size_t i = 0; i < adjoints.size(); ++i) {
      at::Tensor room = whole->part(dx, i);
      if (!adjoints[i].defined()) {
        room.zero_();
      } else if (!lies_in(adjoints[i], room)) {
        room.copy_(adjoints[i]);
      }
    }
    return {dx, {}};
  }
};

}  // namespace

std::vector<at::Tensor> parts(const at::Tensor& x, const std::vector<Sizes>& sizes) {
  const auto whole = c10::make_intrusive<Whole>();
  whole->sizes = x.sizes().vec();
  whole->options = x.options();
  whole->parts = sizes;
  whole->is_given.resize(sizes.size());
  std::vector<at::Tensor> list = Parts::apply(x, whole);
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
