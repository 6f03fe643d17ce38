#include "scan/remade.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>
#include <utility>

namespace mdnlab {

namespace {

thread_local bool is_on = false;

// Shared by all tensors of one remake() and by those who keep one.
class Recipe : public c10::intrusive_ptr_target {
 public:
  explicit Recipe(std::function<std::vector<at::Tensor>()> make) : make_(std::move(make)) {}

  void add_keeper() { ++keepers_; }
  at::Tensor give(std::size_t index) {
    if (made_.empty()) {
      const at::NoGradGuard no_grad;
      made_ = make_();
    }
    const at::Tensor one = made_[index];
    if (--keepers_ <= 0) made_.clear();
    return one;
  }

 private:
  std::function<std::vector<at::Tensor>()> make_;
  std::vector<at::Tensor> made_;  // until the last keeper has had it
  int keepers_ = 0;
};

// What a tensor carries that can be made again; it goes with the tensor, not with its memory.
struct Mark final : c10::BackendMeta {
  Mark(c10::intrusive_ptr<Recipe> of, std::size_t at, std::optional<std::vector<std::int64_t>> as)
      : recipe(std::move(of)), index(at), sizes(std::move(as)) {}

  c10::intrusive_ptr<Recipe> recipe;
  std::size_t index;
  std::optional<std::vector<std::int64_t>> sizes;  // none: as made
};

const Mark* mark_of(const at::Tensor& x) {
  return x.defined() ? dynamic_cast<const Mark*>(x.unsafeGetTensorImpl()->get_backend_meta()) : nullptr;
}

void set_mark(const at::Tensor& x, c10::intrusive_ptr<Mark> mark) {
  x.unsafeGetTensorImpl()->set_backend_meta(std::move(mark));
}

// The marks of what a function keeps, in the order of its list; null where it keeps the tensor.
struct Marks final : torch::CustomClassHolder {
  struct One {
    c10::intrusive_ptr<Recipe> recipe;
    std::size_t index = 0;
    std::optional<std::vector<std::int64_t>> sizes;
  };
  std::vector<One> list;
};

constexpr const char* kMarks = "remade";

}  // namespace

Remaking::Remaking(bool on) : before_(std::exchange(is_on, on)) {}
Remaking::~Remaking() { is_on = before_; }
bool remakes() { return is_on && at::GradMode::is_enabled(); }

void remake(std::vector<at::Tensor> made, std::function<std::vector<at::Tensor>()> make) {
  const auto recipe = c10::make_intrusive<Recipe>(std::move(make));
  for (std::size_t i = 0; i < made.size(); ++i) {
    if (made[i].defined()) set_mark(made[i], c10::make_intrusive<Mark>(recipe, i, std::nullopt));
  }
}

at::Tensor remade_view(const at::Tensor& x, at::IntArrayRef sizes) {
  const at::Tensor y = x.view(sizes);
  if (const Mark* mark = mark_of(x))
    set_mark(y, c10::make_intrusive<Mark>(mark->recipe, mark->index, y.sizes().vec()));
  return y;
}

void save_or_remake(torch::autograd::AutogradContext* context, std::vector<at::Tensor> list) {
  const auto marks = c10::make_intrusive<Marks>();
  bool has_any = false;
  for (at::Tensor& x : list) {
    const Mark* const mark = mark_of(x);
    marks->list.push_back(mark ? Marks::One{mark->recipe, mark->index, mark->sizes} : Marks::One{});
    if (!mark) continue;
    mark->recipe->add_keeper();
    x = at::Tensor();
    has_any = true;
  }
  if (has_any) context->saved_data[kMarks] = c10::IValue::make_capsule(marks);
  context->save_for_backward(std::move(list));
}

std::vector<at::Tensor> saved_or_remade(torch::autograd::AutogradContext* context) {
  std::vector<at::Tensor> list = context->get_saved_variables();
  const auto found = context->saved_data.find(kMarks);
  if (found == context->saved_data.end()) return list;
  const auto marks = c10::static_intrusive_pointer_cast<Marks>(found->second.toCapsule());
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Marks::One& one = marks->list[i];
    if (!one.recipe) continue;
    list[i] = one.recipe->give(one.index);
    if (one.sizes) list[i] = list[i].view(*one.sizes);
  }
  return list;
}

}  // namespace mdnlab
